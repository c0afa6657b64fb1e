/* iceoryx: a publisher and a subscriber each way, the payload copied in and out. `poll`: both sides spin; `wait`: they sleep in a
 * WaitSet. Its daemon, RouDi, is started for the run, and ends with it: there can be one on a machine. */
static void leave();
#define LEAVE leave
#include "bench.h"
#include "iceoryx_hoofs/log/logmanager.hpp"
#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_posh/popo/wait_set.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"
#include <fcntl.h>

using namespace iox;
static bool sleeping;
static pid_t daemon_pid;
static enum role mine;
static volatile int *over;
static int config;
static popo::UntypedPublisher *publisher;
static popo::UntypedSubscriber *subscriber;
static popo::WaitSet<> *waits;

static void end_daemon() {
  kill(daemon_pid, SIGTERM);
  waitpid(daemon_pid, nullptr, 0);
}
/* Starts RouDi with room for such messages, and waits until it says that it is ready. */
static void prepare(const struct order *order) {
  int output[2];
  over = (volatile int *)pages(4096);
  config = memfd_create("roudi.toml", 0);
  if (config < 0 || pipe(output)) fail("memfd_create or pipe");
  dprintf(config, "[general]\nversion = 1\n[[segment]]\n[[segment.mempool]]\nsize = %zu\ncount = %d\n", (order->size + 127) / 64 * 64, order->size > 65536 ? 40 : 2000);
  if ((daemon_pid = fork()) < 0) fail("fork");
  if (daemon_pid == 0) {
    char path[32];
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    snprintf(path, sizeof path, "/proc/self/fd/%d", config);
    dup2(output[1], 1);
    dup2(output[1], 2);
    execlp("iox-roudi", "iox-roudi", "-c", path, (char *)nullptr);
    _exit(127);
  }
  close(output[1]);
  char said[65536] = "";
  for (size_t length = 0; !strstr(said, "ready for clients");) {
    ssize_t count = read(output[0], said + length, sizeof said - 1 - length);
    errno = 0;
    if (count <= 0) fail("RouDi did not start: %s", said);
    said[length += (size_t)count] = 0;
  }
}
static void join(const struct order *order, enum role role) {
  char name[64];
  mine = role;
  log::LogManager::GetLogManager().SetDefaultLogLevel(log::LogLevel::kOff, log::LogLevelOutput::kHideLogLevel);
  snprintf(name, sizeof name, "vecino-bench-%d-%d", (int)getppid(), role);
  runtime::PoshRuntime::initRuntime(RuntimeName_t(cxx::TruncateToCapacity, name));
  snprintf(name, sizeof name, "%d", (int)getppid());
  capro::IdString_t pair(cxx::TruncateToCapacity, name);
  popo::PublisherOptions sending;
  sending.historyCapacity = 0;
  sending.subscriberTooSlowPolicy = popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
  popo::SubscriberOptions receiving;
  receiving.queueCapacity = order->size > 65536 ? 8 : 256;
  receiving.historyRequest = 0;
  receiving.queueFullPolicy = popo::QueueFullPolicy::BLOCK_PRODUCER;
  const capro::IdString_t there("there"), back("back"), bench("bench");
  publisher = new popo::UntypedPublisher({bench, pair, role == ASK ? there : back}, sending);
  subscriber = new popo::UntypedSubscriber({bench, pair, role == ASK ? back : there}, receiving);
  if (sleeping) {
    waits = new popo::WaitSet<>();
    waits->attachState(*subscriber, popo::SubscriberState::HAS_DATA).or_else([](auto) { fail("attachState"); });
  }
  while (subscriber->getSubscriptionState() != SubscribeState::SUBSCRIBED || !publisher->hasSubscribers()) usleep(1000);
}
INLINE void send_message(const uint8_t *message, size_t size) {
  for (bool done = false; !done;) {
    publisher->loan((uint32_t)size).and_then([&](void *&payload) {
      memcpy(payload, message, size);
      publisher->publish(payload);
      done = true;
    });
  }
}
INLINE void receive_message(uint8_t *message, size_t size) {
  for (bool done = false; !done;) {
    subscriber->take().and_then([&](const void *payload) {
      memcpy(message, payload, size);
      subscriber->release(payload);
      done = true;
    });
    if (!done && sleeping) waits->wait();
  }
}
static void leave() { /* RouDi aborts if a process ends without signing off, and leaves files behind; the messages go with their sender */
  meet(over, mine);
  delete waits;
  delete subscriber;
  delete publisher;
  exit(0);
}
int main(int argc, char **argv) {
  static const struct transport transport = {prepare, join, send_message, receive_message};
  struct order order = read_order(argc, argv);
  sleeping = has_option(&order, "wait");
  int status = two_processes(&order, &transport);
  end_daemon();
  return status;
}

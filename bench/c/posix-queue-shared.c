/* One POSIX message queue for two producers and two consumers, blocking: what has been received in a while. */
#include "bench.h"
#include <fcntl.h>
#include <mqueue.h>

enum { PRODUCERS = 2, CONSUMERS = 2 };
struct shared { volatile int here, over; volatile uint64_t received[CONSUMERS * 16]; /* a cache line for each */ };

static uint64_t sum(const struct shared *shared) {
  uint64_t count = 0;
  for (int i = 0; i < CONSUMERS; i++) count += shared->received[i * 16];
  return count;
}
static void work(const struct order *order, mqd_t queue, struct shared *shared, int index) {
  uint8_t *message = pages(order->size);
  memset(message, 7, order->size);
  __atomic_fetch_add(&shared->here, 1, __ATOMIC_SEQ_CST);
  while (shared->here < PRODUCERS + CONSUMERS) usleep(100);
  for (;;) {
    TOUCH(message);
    if (index < PRODUCERS) {
      if (mq_send(queue, (const char *)message, order->size, 0)) fail("mq_send");
    } else {
      if (mq_receive(queue, (char *)message, order->size, NULL) < 0) fail("mq_receive");
      shared->received[(index - PRODUCERS) * 16]++;
    }
  }
}
int main(int argc, char **argv) {
  struct order order = read_order(argc, argv);
  struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = (long)order.size};
  struct shared *shared = pages(sizeof *shared);
  pid_t children[PRODUCERS + CONSUMERS];
  char name[64];
  snprintf(name, sizeof name, "/vecino-bench-%d-c", (int)getpid());
  mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  if (queue < 0) fail("mq_open");
  mq_unlink(name);
  for (int i = 0; i < PRODUCERS + CONSUMERS; i++) {
    if ((children[i] = fork()) < 0) fail("fork");
    if (children[i] > 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    work(&order, queue, shared, i);
  }
  while (shared->here < PRODUCERS + CONSUMERS) usleep(100);
  usleep((useconds_t)(order.warm_up / 1e3));
  double began = now();
  uint64_t before = sum(shared);
  usleep((useconds_t)(order.duration / 1e3));
  double rate = (double)(sum(shared) - before) / ((now() - began) / 1e9);
  for (int i = 0; i < PRODUCERS + CONSUMERS; i++) kill(children[i], SIGKILL);
  for (int i = 0; i < PRODUCERS + CONSUMERS; i++) wait(NULL);
  printf("{\"metrics\":{\"rate\":%.2f}}\n", rate);
  return 0;
}

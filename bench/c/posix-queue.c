/* Two POSIX message queues between two processes, blocking. */
#include "bench.h"
#include <fcntl.h>
#include <mqueue.h>

static mqd_t queues[2], to, from;

static void prepare(const struct order *order) {
  struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = (long)order->size};
  for (int i = 0; i < 2; i++) {
    char name[64];
    snprintf(name, sizeof name, "/vecino-bench-%d-c-%d", (int)getpid(), i);
    if ((queues[i] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes)) < 0) fail("mq_open");
    mq_unlink(name);
  }
}
static void join(const struct order *order, enum role role) {
  (void)order;
  to = queues[role];
  from = queues[!role];
}
static void send_message(const uint8_t *message, size_t size) {
  if (mq_send(to, (const char *)message, size, 0)) fail("mq_send");
}
static void receive_message(uint8_t *message, size_t size) {
  if (mq_receive(from, (char *)message, size, NULL) < 0) fail("mq_receive");
}
int main(int argc, char **argv) {
  static const struct transport transport = {prepare, join, send_message, receive_message};
  struct order order = read_order(argc, argv);
  return two_processes(&order, &transport);
}

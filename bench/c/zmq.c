/* libzmq: two PAIR sockets over ipc://, which is a Unix socket, blocking. Each process has a thread more, for input and output. */
static void leave(void);
#define LEAVE leave
#include "bench.h"
#include <zmq.h>

static char address[64];
static void *context, *pair;

static void prepare(const struct order *order) {
  (void)order;
  snprintf(address, sizeof address, "ipc://@vecino-bench-%d-zmq", (int)getpid()); /* @: a name without a file */
}
static void join(const struct order *order, enum role role) {
  int waiting = order->size > 65536 ? 16 : 1000;
  context = zmq_ctx_new();
  pair = zmq_socket(context, ZMQ_PAIR);
  if (zmq_setsockopt(pair, ZMQ_SNDHWM, &waiting, sizeof waiting) || zmq_setsockopt(pair, ZMQ_RCVHWM, &waiting, sizeof waiting)) fail("zmq_setsockopt");
  if (role == ASK ? zmq_connect(pair, address) : zmq_bind(pair, address)) fail("ZeroMQ at %s", address);
}
INLINE void send_message(const uint8_t *message, size_t size) {
  if (zmq_send(pair, message, size, 0) < 0) fail("zmq_send");
}
INLINE void receive_message(uint8_t *message, size_t size) {
  if (zmq_recv(pair, message, size, 0) < 0) fail("zmq_recv");
}
static void leave(void) { /* what is still to be sent goes out first */
  zmq_close(pair);
  zmq_ctx_term(context);
}
int main(int argc, char **argv) {
  static const struct transport transport = {prepare, join, send_message, receive_message};
  struct order order = read_order(argc, argv);
  return two_processes(&order, &transport);
}

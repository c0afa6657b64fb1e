/* Boost. `spsc`: lockfree::spsc_queue, placed in shared memory, both sides spinning. `queue`: interprocess::message_queue, blocking. */
#include "bench.h"
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <new>

namespace ipc = boost::interprocess;
static constexpr size_t SLOTS = SIZE <= 64 ? 4096 : SIZE <= 1024 ? 1024 : 16;
struct message_bytes { uint8_t bytes[SIZE]; };
using ring = boost::lockfree::spsc_queue<message_bytes, boost::lockfree::capacity<SLOTS>>;
static ring *rings[2], *ring_to, *ring_from;
static ipc::message_queue *queues[2], *queue_to, *queue_from;

static void prepare_rings(const struct order *) {
  for (auto &each : rings) each = new (pages(sizeof(ring))) ring();
}
static void join_rings(const struct order *, enum role role) {
  ring_to = rings[role == ASK ? 0 : 1];
  ring_from = rings[role == ASK ? 1 : 0];
}
INLINE void push(const uint8_t *message, size_t) {
  while (!ring_to->push(*reinterpret_cast<const message_bytes *>(message)));
}
INLINE void pop(uint8_t *message, size_t) {
  while (!ring_from->pop(*reinterpret_cast<message_bytes *>(message)));
}

static void prepare_queues(const struct order *) {
  for (int i = 0; i < 2; i++) {
    char name[64];
    snprintf(name, sizeof name, "vecino-bench-%d-boost-%d", (int)getpid(), i);
    queues[i] = new ipc::message_queue(ipc::create_only, name, SIZE > 65536 ? 16 : 1024, SIZE);
    ipc::message_queue::remove(name); /* the two processes inherit the mapping */
  }
}
static void join_queues(const struct order *, enum role role) {
  queue_to = queues[role == ASK ? 0 : 1];
  queue_from = queues[role == ASK ? 1 : 0];
}
INLINE void send_blocking(const uint8_t *message, size_t size) { queue_to->send(message, size, 0); }
INLINE void receive_blocking(uint8_t *message, size_t size) {
  ipc::message_queue::size_type length;
  unsigned priority;
  queue_from->receive(message, size, length, priority);
}
int main(int argc, char **argv) {
  static const struct transport spsc = {prepare_rings, join_rings, push, pop};
  static const struct transport queue = {prepare_queues, join_queues, send_blocking, receive_blocking};
  struct order order = read_order(argc, argv);
  return has_option(&order, "spsc") ? two_processes(&order, &spsc) : two_processes(&order, &queue);
}

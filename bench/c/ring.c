/* A ring in shared memory for one writer and one reader, both spinning: the floor of every channel. Indices on lines of their own, the
 * other side's cached; published with each message; the payload is copied in and out. With -DSIZE=n also the copying is inlined. */
#include "bench.h"

struct line { uint64_t value; char pad[120]; };
struct ring { struct line head, tail, seen_tail, seen_head; uint8_t data[]; };
static struct ring *rings[2], *to, *from;
static uint64_t sent, received;
#define SLOTS_FOR(size) ((size) <= 64 ? 4096 : (size) <= 1024 ? 1024 : 16)
#ifdef SIZE
static const uint64_t slots = SLOTS_FOR(SIZE);
#else
static uint64_t slots;
#endif

static void prepare(const struct order *order) {
#ifndef SIZE
  slots = SLOTS_FOR(order->size);
#endif
  for (int i = 0; i < 2; i++) rings[i] = pages(sizeof(struct ring) + slots * order->size);
}
static void join(const struct order *order, enum role role) {
  (void)order;
  to = rings[role == ASK ? 0 : 1];
  from = rings[role == ASK ? 1 : 0];
}
INLINE void send_message(const uint8_t *message, size_t size) {
  while (sent - to->seen_head.value >= slots) to->seen_head.value = __atomic_load_n(&to->head.value, __ATOMIC_ACQUIRE);
  memcpy(to->data + (sent & (slots - 1)) * size, message, size);
  __atomic_store_n(&to->tail.value, ++sent, __ATOMIC_RELEASE);
}
INLINE void receive_message(uint8_t *message, size_t size) {
  while (from->seen_tail.value == received) from->seen_tail.value = __atomic_load_n(&from->tail.value, __ATOMIC_ACQUIRE);
  memcpy(message, from->data + (received & (slots - 1)) * size, size);
  __atomic_store_n(&from->head.value, ++received, __ATOMIC_RELEASE);
}
int main(int argc, char **argv) {
  static const struct transport transport = {prepare, join, send_message, receive_message};
  struct order order = read_order(argc, argv);
  return two_processes(&order, &transport);
}

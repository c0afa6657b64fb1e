/* From the kernel's queue of signals to the listeners, in order.
 *
 *   kernel's queue --take--> queue of each listener, its waits --bell (eventfd)--> its event loop
 *
 * Taking and giving are one step under one lock, which is what keeps the order, whoever takes.
 *
 * Nothing is lost and nothing grows without bounds: once a listener has FULL signals that it has not fetched, real-time
 * signals stay in the kernel's queue, whose limit the sender is told of. Standard signals do not queue in the kernel either;
 * of these, one of each kind is kept.
 *
 * Signals belong to the process, so this state does too. */
#include "signals.h"
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FULL = 65536 };
struct delivery delivery = {.lock = PTHREAD_MUTEX_INITIALIZER, .descriptor = -1};

void delivery_ring(struct listener *listener) {
  if (listener->rung) return;
  listener->rung = true;
  if (listener->bell >= 0) eventfd_write(listener->bell, 1);
}
void delivery_hush(struct listener *listener) {
  eventfd_t count;
  listener->rung = false;
  if (listener->bell >= 0) eventfd_read(listener->bell, &count);
}
static bool grow(struct listener *listener) {
  uint32_t capacity = listener->capacity == 0 ? 64 : listener->capacity * 2;
  struct record *records = malloc(capacity * sizeof *records);
  if (records == NULL) return false;
  for (uint32_t i = 0; i < listener->count; i++) records[i] = listener->records[(listener->first + i) & (listener->capacity - 1)];
  free(listener->records);
  listener->records = records;
  listener->capacity = capacity;
  listener->first = 0;
  return true;
}
static void append(struct listener *listener, const struct record *record) {
  if (listener->full && record->signal < SIGRTMIN && listener->queued[record->signal] > 0) return;
  if (listener->count == listener->capacity && !grow(listener)) return; /* see receivable(): a real-time signal has its place */
  listener->records[(listener->first + listener->count++) & (listener->capacity - 1)] = *record;
  listener->queued[record->signal]++;
  delivery_ring(listener);
}
void delivery_give(const struct record *record) {
  uint64_t bit = BIT(record->signal);
  for (struct listener *listener = delivery.listeners; listener != NULL; listener = listener->next) {
    if ((listener->handled & bit & ~delivery.held) != 0) append(listener, record);
    for (struct wait *wait = listener->waits; wait != NULL; wait = wait->next) {
      if (wait->filled || (wait->set & bit) == 0) continue;
      wait->filled = true;
      wait->record = *record;
      delivery_ring(listener);
      break;
    }
  }
  if ((delivery.held & bit) == 0) signals_hand_to_libuv(record->signal);
}
/* What may be taken now. */
static uint64_t receivable(void) {
  uint64_t handled = 0, full = 0, awaited = 0;
  for (struct listener *listener = delivery.listeners; listener != NULL; listener = listener->next) {
    handled |= listener->handled;
    bool room = listener->handled == 0 || listener->count < listener->capacity || grow(listener);
    if (!room || listener->count >= FULL) listener->full = true;
    else if (listener->count <= FULL / 2) listener->full = false;
    if (listener->full) full |= listener->handled & ~(BIT(SIGRTMIN) - 1);
    for (struct wait *wait = listener->waits; wait != NULL; wait = wait->next) {
      if (!wait->filled) awaited |= wait->set;
    }
  }
  return (handled & ~delivery.held & ~full) | awaited;
}
void delivery_refresh(void) {
  uint64_t now = receivable();
  if (now == delivery.watched || delivery.descriptor < 0) return;
  delivery.watched = now;
  sigset_t set;
  sigemptyset(&set);
  EACH_SIGNAL(number, now) sigaddset(&set, number);
  signalfd(delivery.descriptor, &set, 0); /* who polls it looks again */
}
int delivery_receive(uint64_t set, struct record *record) {
  static const struct timespec now;
  siginfo_t info;
  /* Not sigtimedwait(3), which makes SI_USER of SI_TKILL. */
  int number = (int)syscall(SYS_rt_sigtimedwait, &set, &info, &now, sizeof set);
  if (number <= 0) return 0;
  int code = info.si_code < STRAY / 2 ? info.si_code - STRAY : info.si_code;
  bool child = number == SIGCHLD && code > 0, value = code == SI_QUEUE || code == SI_TIMER || code == SI_MESGQ || code == SI_ASYNCIO;
  bool sender = child || code == SI_USER || code == SI_QUEUE || code == SI_TKILL || code == SI_MESGQ || code == SI_ASYNCIO;
  *record = (struct record){
    .signal = number,
    .code = code,
    .pid = sender ? info.si_pid : 0,
    .uid = sender ? (int32_t)info.si_uid : 0,
    .value = value ? info.si_value.sival_int : 0,
    .status = child ? info.si_status : 0,
  };
  return number;
}
void delivery_take(int most) {
  struct record record;
  for (int i = 0; i < most; i++) {
    uint64_t set = receivable();
    if (set == 0 || delivery_receive(set, &record) == 0) break;
    delivery_give(&record);
  }
  delivery_refresh();
}

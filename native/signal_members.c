/* Who listens to signals: environments (the main thread, workers) with handlers and waits, and a thread of our own.
 *
 * The thread takes signals as they come (signal_delivery.c), so that a busy event loop delays neither another one nor libuv, whose
 * own handler is called for each. Listeners' loops watch the signalfd too: a signal that was sent to one thread (tgkill) can
 * be taken only there.
 *
 * Signals belong to the process, so the thread and the signalfd do too. The lock `membership` is held while somebody comes or goes,
 * which may mean to interrupt every thread (signal_threads.c); never taken while the delivery's is. The listeners, and all that is in
 * them, are read and changed under the delivery's: who only looks for a moment (try_wait) stands among them without membership.
 *
 * No Node-API here: other copies of the addon call it too (signal_core.c). */
#include "signals.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { BATCH = 256 }; /* signals taken while the lock is held */
static pthread_mutex_t membership = PTHREAD_MUTEX_INITIALIZER;
static int stop = -1; /* eventfd: ends the thread */
static int next_wait;
static pthread_t thread;

static void *serve(void *unused) {
  prctl(PR_SET_NAME, "vecino-signals");
  struct pollfd entries[] = {{.fd = delivery.descriptor, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
  for (;;) {
    poll(entries, 2, -1);
    if (entries[1].revents != 0) return NULL;
    pthread_mutex_lock(&delivery.lock);
    delivery_take(BATCH);
    pthread_mutex_unlock(&delivery.lock);
  }
}

/* ---- coming and going (membership is held) ------------------------------------------------------------------- */

static int start_thread(void) {
  sigset_t none, all, before;
  pthread_attr_t attributes;
  sigemptyset(&none);
  sigfillset(&all);
  delivery.watched = 0;
  delivery.descriptor = signalfd(-1, &none, SFD_CLOEXEC | SFD_NONBLOCK);
  stop = delivery.descriptor < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int error = stop < 0 ? errno : 0;
  if (error == 0) {
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    error = pthread_create(&thread, &attributes, serve, NULL);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  if (error == 0) return 0;
  if (stop >= 0) close(stop);
  if (delivery.descriptor >= 0) close(delivery.descriptor);
  delivery.descriptor = stop = -1;
  return -error;
}
static void stop_thread(void) {
  eventfd_write(stop, 1);
  pthread_join(thread, NULL);
  close(stop);
  close(delivery.descriptor);
  delivery.descriptor = stop = -1;
}
/* Makes every thread's mask what it is to be now. `drain`: what has come for handlers that are gone was caught, and is dropped. */
static void arrange(bool drain) {
  struct record record;
  pthread_mutex_lock(&delivery.lock);
  uint64_t wanted = delivery.held;
  for (struct listener *listener = delivery.listeners; listener != NULL; listener = listener->next) {
    wanted |= listener->handled;
    for (struct wait *wait = listener->waits; wait != NULL; wait = wait->next) wanted |= wait->set;
  }
  uint64_t block = wanted & ~delivery.arranged, unblock = delivery.arranged & ~wanted;
  delivery.arranged = wanted;
  for (int i = 0; drain && unblock != 0 && i < 1000000 && delivery_receive(unblock, &record) > 0; i++) signals_hand_to_libuv(record.signal);
  delivery_refresh();
  pthread_mutex_unlock(&delivery.lock);
  if (block != 0) signals_block(block);
  if (unblock != 0) signals_unblock(unblock, drain);
}
/* Whether anybody listens. Somebody who only looks (try_wait) may stand in the list, and is gone when the lock is ours. */
static bool is_heard(void) {
  pthread_mutex_lock(&delivery.lock);
  bool heard = delivery.listeners != NULL;
  pthread_mutex_unlock(&delivery.lock);
  return heard;
}
static void forget(struct listener *listener) {
  pthread_mutex_lock(&delivery.lock);
  struct listener **link = &delivery.listeners;
  while (*link != NULL && *link != listener) link = &(*link)->next;
  if (*link != NULL) *link = listener->next;
  pthread_mutex_unlock(&delivery.lock);
  arrange(true);
  if (!is_heard() && delivery.descriptor >= 0) stop_thread();
  while (listener->waits != NULL) {
    struct wait *wait = listener->waits;
    listener->waits = wait->next;
    free(wait);
  }
  free(listener->records);
  close(listener->bell);
  free(listener);
}
static void leave(struct listener *listener) {
  pthread_mutex_lock(&membership);
  forget(listener);
  pthread_mutex_unlock(&membership);
}
static int prepare(int (*find)(void *, void (**)(int)), void *context) {
  static bool prepared;
  void (*libuv)(int) = NULL;
  pthread_mutex_lock(&membership);
  int result = prepared ? 0 : find(context, &libuv);
  if (result == 0 && !prepared) {
    prepared = true;
    signals_know_libuv(libuv);
  }
  pthread_mutex_unlock(&membership);
  return result;
}
static int join(struct listener **out, int32_t descriptors[2]) {
  struct listener *listener = calloc(1, sizeof *listener);
  if (listener == NULL) return -ENOMEM;
  pthread_mutex_lock(&membership);
  listener->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int result = listener->bell < 0 ? -errno : 0;
  if (result == 0 && delivery.descriptor < 0) result = start_thread();
  if (result == 0) {
    pthread_mutex_lock(&delivery.lock);
    listener->next = delivery.listeners;
    delivery.listeners = listener;
    pthread_mutex_unlock(&delivery.lock);
    descriptors[0] = delivery.descriptor;
    descriptors[1] = listener->bell;
    *out = listener;
  } else {
    if (listener->bell >= 0) close(listener->bell);
    free(listener);
  }
  pthread_mutex_unlock(&membership);
  return result;
}
static int handle(struct listener *listener, int number, bool handled) {
  if (number < 1 || number > LAST_SIGNAL) return -EINVAL;
  pthread_mutex_lock(&membership);
  pthread_mutex_lock(&delivery.lock);
  if (handled) listener->handled |= BIT(number);
  else {
    listener->handled &= ~BIT(number);
    listener->queued[number] = 0;
    for (uint32_t i = 0; i < listener->count; i++) { /* nobody is left to hear them */
      struct record *record = &listener->records[(listener->first + i) & (listener->capacity - 1)];
      if (record->signal == number) record->signal = 0;
    }
  }
  pthread_mutex_unlock(&delivery.lock);
  arrange(true);
  pthread_mutex_unlock(&membership);
  return 0;
}
static void hold(uint64_t set, bool wanted) {
  pthread_mutex_lock(&membership);
  pthread_mutex_lock(&delivery.lock);
  delivery.held = wanted ? delivery.held | set : delivery.held & ~set;
  pthread_mutex_unlock(&delivery.lock);
  arrange(false);
  pthread_mutex_unlock(&membership);
}
static int take(struct listener *listener, struct record *records, uint32_t most) {
  uint32_t count = 0;
  pthread_mutex_lock(&delivery.lock);
  delivery_take(BATCH);
  while (count < most && listener->count > 0) {
    struct record *record = &listener->records[listener->first];
    listener->first = (listener->first + 1) & (listener->capacity - 1);
    listener->count--;
    if (record->signal == 0) continue;
    if (listener->queued[record->signal] > 0) listener->queued[record->signal]--;
    records[count++] = *record;
  }
  if (listener->count == 0) delivery_hush(listener);
  if (listener->full) delivery_refresh();
  pthread_mutex_unlock(&delivery.lock);
  return (int)count;
}

static struct wait **find_wait(struct listener *listener, int id) {
  struct wait **link = &listener->waits;
  while (*link != NULL && (*link)->id != id) link = &(*link)->next;
  return link;
}
static int begin_wait(struct listener *listener, uint64_t set) {
  struct wait *wait = calloc(1, sizeof *wait), **link;
  if (wait == NULL) return -ENOMEM;
  wait->set = set;
  pthread_mutex_lock(&membership);
  pthread_mutex_lock(&delivery.lock);
  int id = wait->id = next_wait = (next_wait + 1) & INT32_MAX;
  for (link = &listener->waits; *link != NULL; link = &(*link)->next);
  *link = wait;
  pthread_mutex_unlock(&delivery.lock);
  arrange(false);
  pthread_mutex_unlock(&membership);
  return id;
}
static int take_wait(struct listener *listener, int id, struct record *record, bool quiet) {
  int result = -EINVAL;
  pthread_mutex_lock(&delivery.lock);
  if (quiet) delivery_hush(listener);
  delivery_take(BATCH);
  struct wait *wait = *find_wait(listener, id);
  if (wait != NULL) result = wait->filled;
  if (result > 0) *record = wait->record;
  pthread_mutex_unlock(&delivery.lock);
  return result;
}
static int end_wait(struct listener *listener, int id, struct record *record) {
  bool waiting = false;
  int result = -EINVAL;
  pthread_mutex_lock(&membership);
  pthread_mutex_lock(&delivery.lock);
  struct wait **link = find_wait(listener, id), *wait = *link;
  if (wait != NULL) {
    *link = wait->next;
    result = wait->filled;
    if (wait->filled) *record = wait->record;
    free(wait);
  }
  for (struct wait *each = listener->waits; each != NULL; each = each->next) waiting |= each->filled;
  if (waiting || listener->count > 0) delivery_ring(listener); /* a wait that blocked the thread has hushed it */
  pthread_mutex_unlock(&delivery.lock);
  arrange(false);
  pthread_mutex_unlock(&membership);
  return result;
}
static int try_wait(struct listener *listener, uint64_t set, struct record *taken) {
  struct wait wait = {.set = set}, **link;
  struct listener visitor = {.bell = -1};
  struct record record;
  pthread_mutex_lock(&delivery.lock);
  wait.set &= delivery.arranged; /* what no thread blocks never waits */
  if (listener == NULL) {
    listener = &visitor;
    visitor.next = delivery.listeners;
    delivery.listeners = &visitor;
  }
  for (link = &listener->waits; *link != NULL; link = &(*link)->next);
  *link = &wait;
  if (delivery_receive(wait.set, &record) > 0) delivery_give(&record);
  *link = NULL;
  if (listener == &visitor) delivery.listeners = visitor.next;
  delivery_refresh();
  pthread_mutex_unlock(&delivery.lock);
  if (wait.filled) *taken = wait.record;
  return wait.filled;
}

static int ignore(int number) {
  pthread_mutex_lock(&membership);
  int result = signals_ignore(number);
  pthread_mutex_unlock(&membership);
  return result;
}
static void restore(int number) {
  pthread_mutex_lock(&membership);
  signals_restore(number);
  pthread_mutex_unlock(&membership);
}

__attribute__((visibility("default"))) extern const struct signal_core vecino_signal_core_1;
const struct signal_core vecino_signal_core_1 = {
  .prepare = prepare, .join = join, .leave = leave, .handle = handle, .hold = hold, .take = take,
  .wait = begin_wait, .take_wait = take_wait, .end_wait = end_wait, .try_wait = try_wait, .ignore = ignore, .restore = restore,
};

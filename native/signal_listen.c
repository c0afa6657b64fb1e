/* Signals for JavaScript: taken from the kernel's queue by one at a time, in order, and given to every environment (the main
 * thread, a worker) that listens.
 *
 *   kernel's queue --take()--> queue of each listener, its wait --bell (eventfd)--> its event loop
 *
 * A thread of our own takes them as they come, so that a busy event loop delays neither another one nor libuv, whose own
 * handler is called for each. Listeners' loops watch the signalfd too: a signal that was sent to one thread (tgkill) can be taken only there.
 * The lock `delivery` makes taking and giving one step, which is what keeps the order.
 *
 * Nothing is lost and nothing grows without bounds: once a listener has FULL signals that it has not fetched, real-time signals stay in
 * the kernel's queue, whose limit the sender is told of. Standard signals do not queue in the kernel either; of these, one of each kind is kept.
 *
 * Signals belong to the process, so the listeners, the thread and the signalfd do too. The lock `membership` is held while somebody comes
 * or goes, which may mean to interrupt every thread (signal_threads.c); never while `delivery` is. */
#include "signals.h"
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FULL = 65536, BATCH = 256 };

struct record { int32_t signal, code, pid, uid, value, status; };
struct wait { /* for one signal of a set */
  struct wait *next;
  uint64_t set;
  int id;
  bool filled;
  struct record record;
};
struct listener {
  struct listener *next;
  struct wait *waits; /* oldest first */
  uint64_t handled;   /* what it has handlers for */
  struct record *records;
  uint32_t capacity, first, count; /* a ring; the capacity is 0 or a power of two */
  uint32_t queued[LAST_SIGNAL + 1];
  int bell;
  bool rung, full;
};

static pthread_mutex_t membership = PTHREAD_MUTEX_INITIALIZER, delivery = PTHREAD_MUTEX_INITIALIZER;
static struct listener *listeners;
static uint64_t held;     /* blocked by the program's wish */
static uint64_t arranged; /* what all threads block */
static uint64_t watched;  /* what the signalfd is readable for */
static int descriptor = -1, stop = -1;
static int next_wait;
static pthread_t thread;

/* ---- giving (delivery is held) ------------------------------------------------------------------------------- */

static void ring(struct listener *listener) {
  if (listener->rung) return;
  listener->rung = true;
  if (listener->bell >= 0) eventfd_write(listener->bell, 1);
}
static void hush(struct listener *listener) {
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
  ring(listener);
}
static void give(const struct record *record) {
  uint64_t bit = BIT(record->signal);
  for (struct listener *listener = listeners; listener != NULL; listener = listener->next) {
    if ((listener->handled & bit & ~held) != 0) append(listener, record);
    for (struct wait *wait = listener->waits; wait != NULL; wait = wait->next) {
      if (wait->filled || (wait->set & bit) == 0) continue;
      wait->filled = true;
      wait->record = *record;
      ring(listener);
      break;
    }
  }
}
/* What may be taken now. */
static uint64_t receivable(void) {
  uint64_t handled = 0, full = 0, awaited = 0;
  for (struct listener *listener = listeners; listener != NULL; listener = listener->next) {
    handled |= listener->handled;
    bool room = listener->handled == 0 || listener->count < listener->capacity || grow(listener);
    if (!room || listener->count >= FULL) listener->full = true;
    else if (listener->count <= FULL / 2) listener->full = false;
    if (listener->full) full |= listener->handled & ~(BIT(SIGRTMIN) - 1);
    for (struct wait *wait = listener->waits; wait != NULL; wait = wait->next) {
      if (!wait->filled) awaited |= wait->set;
    }
  }
  return (handled & ~held & ~full) | awaited;
}
static void to_sigset(uint64_t set, sigset_t *result) {
  sigemptyset(result);
  EACH_SIGNAL(number, set) sigaddset(result, number);
}
static void refresh(void) {
  uint64_t now = receivable();
  if (now == watched || descriptor < 0) return;
  sigset_t set;
  to_sigset(watched = now, &set);
  signalfd(descriptor, &set, 0); /* who polls it looks again */
}
static int receive(uint64_t set, struct record *record) {
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
static void take(int most) {
  struct record record;
  for (int i = 0; i < most; i++) {
    uint64_t set = receivable();
    if (set == 0 || receive(set, &record) == 0) break;
    bool heard = (held & BIT(record.signal)) == 0;
    give(&record);
    if (heard) signals_hand_to_libuv(record.signal);
  }
  refresh();
}

static void *serve(void *unused) {
  prctl(PR_SET_NAME, "vecino-signals");
  struct pollfd entries[] = {{.fd = descriptor, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
  for (;;) {
    poll(entries, 2, -1);
    if (entries[1].revents != 0) return NULL;
    pthread_mutex_lock(&delivery);
    take(BATCH);
    pthread_mutex_unlock(&delivery);
  }
}

/* ---- coming and going (membership is held) ------------------------------------------------------------------- */

static int start_thread(void) {
  sigset_t none, all, before;
  pthread_attr_t attributes;
  sigemptyset(&none);
  sigfillset(&all);
  watched = 0;
  descriptor = signalfd(-1, &none, SFD_CLOEXEC | SFD_NONBLOCK);
  stop = descriptor < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
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
  if (descriptor >= 0) close(descriptor);
  descriptor = stop = -1;
  return -error;
}
static void stop_thread(void) {
  eventfd_write(stop, 1);
  pthread_join(thread, NULL);
  close(stop);
  close(descriptor);
  descriptor = stop = -1;
}
/* Makes every thread's mask what it is to be now. `drain`: what has come for handlers that are gone was caught, and is dropped. */
static void arrange(bool drain) {
  struct record record;
  pthread_mutex_lock(&delivery);
  uint64_t wanted = held;
  for (struct listener *listener = listeners; listener != NULL; listener = listener->next) {
    wanted |= listener->handled;
    for (struct wait *wait = listener->waits; wait != NULL; wait = wait->next) wanted |= wait->set;
  }
  uint64_t block = wanted & ~arranged, unblock = arranged & ~wanted;
  arranged = wanted;
  for (int i = 0; drain && unblock != 0 && i < 1000000 && receive(unblock, &record) > 0; i++) signals_hand_to_libuv(record.signal);
  refresh();
  pthread_mutex_unlock(&delivery);
  if (block != 0) signals_block(block);
  if (unblock != 0) signals_unblock(unblock, drain);
}
static void forget(struct listener *listener) {
  pthread_mutex_lock(&delivery);
  struct listener **link = &listeners;
  while (*link != NULL && *link != listener) link = &(*link)->next;
  if (*link != NULL) *link = listener->next;
  pthread_mutex_unlock(&delivery);
  arrange(true);
  if (listeners == NULL && descriptor >= 0) stop_thread();
  while (listener->waits != NULL) {
    struct wait *wait = listener->waits;
    listener->waits = wait->next;
    free(wait);
  }
  free(listener->records);
  close(listener->bell);
  free(listener);
}
void listener_forget(struct instance *instance) {
  if (instance->listener == NULL) return;
  pthread_mutex_lock(&membership);
  forget(instance->listener);
  instance->listener = NULL;
  pthread_mutex_unlock(&membership);
}

/* ---- the calls ----------------------------------------------------------------------------------------------- */

static uint64_t arg_set(napi_env env, napi_value value) { /* a view of 8 bytes */
  struct bytes bytes = arg_bytes(env, value);
  uint64_t set = 0;
  if (bytes.length == sizeof set) memcpy(&set, bytes.data, sizeof set);
  return set;
}
#define LISTENER                                               \
  struct listener *listener = instance->listener;              \
  if (listener == NULL) return give_int(env, -EBADF)

static napi_value call_listen(napi_env env, napi_callback_info info) { /* an Int32Array: the signalfd, the bell */
  ARGUMENTS(1);
  struct bytes out = arg_bytes(env, argv[0]);
  if (out.length < 2 * sizeof(int32_t)) return give_int(env, -EINVAL);
  if (instance->listener != NULL) return give_int(env, -EEXIST);
  struct listener *listener = calloc(1, sizeof *listener);
  if (listener == NULL) return give_int(env, -ENOMEM);
  pthread_mutex_lock(&membership);
  int result = signals_prepare(env, instance);
  listener->bell = result < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (result == 0 && listener->bell < 0) result = -errno;
  if (result == 0 && descriptor < 0) result = start_thread();
  if (result == 0) {
    pthread_mutex_lock(&delivery);
    listener->next = listeners;
    listeners = listener;
    pthread_mutex_unlock(&delivery);
    instance->listener = listener;
    ((int32_t *)(void *)out.data)[0] = descriptor;
    ((int32_t *)(void *)out.data)[1] = listener->bell;
  } else {
    if (listener->bell >= 0) close(listener->bell);
    free(listener);
  }
  pthread_mutex_unlock(&membership);
  instance->tally->calls += 2;
  return give_int(env, result);
}
static napi_value call_unlisten(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  listener_forget(instance);
  return give_int(env, 0);
}
static napi_value call_handle(napi_env env, napi_callback_info info) { /* signal, whether there are handlers for it here */
  ARGUMENTS(2);
  LISTENER;
  int number = arg_int(env, argv[0]);
  bool handled = false;
  napi_get_value_bool(env, argv[1], &handled);
  if (number < 1 || number > LAST_SIGNAL) return give_int(env, -EINVAL);
  pthread_mutex_lock(&membership);
  pthread_mutex_lock(&delivery);
  if (handled) listener->handled |= BIT(number);
  else {
    listener->handled &= ~BIT(number);
    listener->queued[number] = 0;
    for (uint32_t i = 0; i < listener->count; i++) { /* nobody is left to hear them */
      struct record *record = &listener->records[(listener->first + i) & (listener->capacity - 1)];
      if (record->signal == number) record->signal = 0;
    }
  }
  pthread_mutex_unlock(&delivery);
  arrange(true);
  pthread_mutex_unlock(&membership);
  return give_int(env, 0);
}
static napi_value call_hold(napi_env env, napi_callback_info info) { /* set, whether they are to be blocked */
  ARGUMENTS(2);
  uint64_t set = arg_set(env, argv[0]);
  bool hold = false;
  napi_get_value_bool(env, argv[1], &hold);
  pthread_mutex_lock(&membership);
  int result = signals_prepare(env, instance);
  if (result == 0) {
    pthread_mutex_lock(&delivery);
    held = hold ? held | set : held & ~set;
    pthread_mutex_unlock(&delivery);
    arrange(false);
  }
  pthread_mutex_unlock(&membership);
  return give_int(env, result);
}
static napi_value call_take(napi_env env, napi_callback_info info) { /* a view of records: how many were written */
  ARGUMENTS(1);
  LISTENER;
  struct bytes out = arg_bytes(env, argv[0]);
  struct record *records = (struct record *)(void *)out.data;
  uint32_t most = (uint32_t)(out.length / sizeof *records), count = 0;
  pthread_mutex_lock(&delivery);
  take(BATCH);
  while (count < most && listener->count > 0) {
    struct record *record = &listener->records[listener->first];
    listener->first = (listener->first + 1) & (listener->capacity - 1);
    listener->count--;
    if (record->signal == 0) continue;
    if (listener->queued[record->signal] > 0) listener->queued[record->signal]--;
    records[count++] = *record;
  }
  if (listener->count == 0) hush(listener);
  if (listener->full) refresh();
  pthread_mutex_unlock(&delivery);
  instance->tally->calls++;
  return give_int(env, (int32_t)count);
}

static napi_value call_wait(napi_env env, napi_callback_info info) { /* set: what the wait is known by */
  ARGUMENTS(1);
  LISTENER;
  struct wait *wait = calloc(1, sizeof *wait), **link = &listener->waits;
  if (wait == NULL) return give_int(env, -ENOMEM);
  wait->set = arg_set(env, argv[0]);
  pthread_mutex_lock(&membership);
  pthread_mutex_lock(&delivery);
  wait->id = next_wait = (next_wait + 1) & INT32_MAX;
  while (*link != NULL) link = &(*link)->next;
  *link = wait;
  pthread_mutex_unlock(&delivery);
  arrange(false);
  pthread_mutex_unlock(&membership);
  return give_int(env, wait->id);
}
static struct wait **find_wait(struct listener *listener, int id) {
  struct wait **link = &listener->waits;
  while (*link != NULL && (*link)->id != id) link = &(*link)->next;
  return link;
}
static napi_value call_wait_take(napi_env env, napi_callback_info info) { /* wait, a view of a record, whether to hush the bell: 1 if it was written */
  ARGUMENTS(3);
  LISTENER;
  struct bytes out = arg_bytes(env, argv[1]);
  int result = 0;
  bool quiet = false;
  napi_get_value_bool(env, argv[2], &quiet);
  pthread_mutex_lock(&delivery);
  if (quiet) hush(listener);
  take(BATCH);
  struct wait *wait = *find_wait(listener, arg_int(env, argv[0]));
  if (wait == NULL || out.length < sizeof wait->record) result = -EINVAL;
  else if (wait->filled) {
    memcpy(out.data, &wait->record, sizeof wait->record);
    result = 1;
  }
  pthread_mutex_unlock(&delivery);
  instance->tally->calls++;
  return give_int(env, result);
}
static napi_value call_wait_end(napi_env env, napi_callback_info info) { /* wait, a view of a record: 1 if it was written */
  ARGUMENTS(2);
  LISTENER;
  struct bytes out = arg_bytes(env, argv[1]);
  bool waiting = false;
  int result = -EINVAL;
  pthread_mutex_lock(&membership);
  pthread_mutex_lock(&delivery);
  struct wait **link = find_wait(listener, arg_int(env, argv[0])), *wait = *link;
  if (wait != NULL && out.length >= sizeof wait->record) {
    *link = wait->next;
    result = wait->filled;
    if (wait->filled) memcpy(out.data, &wait->record, sizeof wait->record);
    free(wait);
  }
  for (struct wait *each = listener->waits; each != NULL; each = each->next) waiting |= each->filled;
  if (waiting || listener->count > 0) ring(listener); /* a wait that blocked the thread has hushed it */
  pthread_mutex_unlock(&delivery);
  arrange(false);
  pthread_mutex_unlock(&membership);
  return give_int(env, result);
}
static napi_value call_try_wait(napi_env env, napi_callback_info info) { /* set, a view of a record: 1 if it was written */
  ARGUMENTS(2);
  struct bytes out = arg_bytes(env, argv[1]);
  struct wait wait = {.set = arg_set(env, argv[0])}, **link;
  struct listener visitor = {.bell = -1}, *listener = instance->listener;
  struct record record;
  if (out.length < sizeof record) return give_int(env, -EINVAL);
  pthread_mutex_lock(&delivery);
  wait.set &= arranged; /* what no thread blocks never waits */
  if (listener == NULL) {
    listener = &visitor;
    visitor.next = listeners;
    listeners = &visitor;
  }
  for (link = &listener->waits; *link != NULL; link = &(*link)->next);
  *link = &wait;
  if (receive(wait.set, &record) > 0) {
    bool heard = (held & BIT(record.signal)) == 0;
    give(&record);
    if (heard) signals_hand_to_libuv(record.signal);
  }
  *link = NULL;
  if (listener == &visitor) listeners = visitor.next;
  refresh();
  pthread_mutex_unlock(&delivery);
  if (wait.filled) memcpy(out.data, &wait.record, sizeof wait.record);
  instance->tally->calls++;
  return give_int(env, wait.filled);
}

static napi_value call_ignore(napi_env env, napi_callback_info info) { /* signal */
  ARGUMENTS(1);
  pthread_mutex_lock(&membership);
  int result = signals_prepare(env, instance);
  if (result == 0) result = signals_ignore(arg_int(env, argv[0]));
  pthread_mutex_unlock(&membership);
  instance->tally->calls++;
  return give_int(env, result);
}
static napi_value call_restore(napi_env env, napi_callback_info info) { /* signal */
  ARGUMENTS(1);
  pthread_mutex_lock(&membership);
  signals_restore(arg_int(env, argv[0]));
  pthread_mutex_unlock(&membership);
  instance->tally->calls++;
  return give_int(env, 0);
}

void export_signal_listen(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"signalListen", call_listen}, {"signalUnlisten", call_unlisten}, {"signalHandle", call_handle}, {"signalHold", call_hold},
    {"signalTake", call_take}, {"signalWait", call_wait}, {"signalWaitTake", call_wait_take}, {"signalWaitEnd", call_wait_end},
    {"signalTryWait", call_try_wait}, {"signalIgnore", call_ignore}, {"signalRestore", call_restore},
  };
  EXPORT_METHODS(methods);
}

/* Who listens to signals: environments (the main thread, workers) with handlers and waits, and a thread of our own.
 *
 * The thread takes signals as they come (signal_delivery.c), so that a busy event loop delays neither another one nor libuv, whose
 * own handler is called for each. Listeners' loops watch the signalfd too: a signal that was sent to one thread (tgkill) can
 * be taken only there.
 *
 * Signals belong to the process, so the thread and the signalfd do too. The lock `membership` is held while somebody comes or goes,
 * which may mean to interrupt every thread (signal_threads.c); never taken while the delivery's is. */
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
static void forget(struct listener *listener) {
  pthread_mutex_lock(&delivery.lock);
  struct listener **link = &delivery.listeners;
  while (*link != NULL && *link != listener) link = &(*link)->next;
  if (*link != NULL) *link = listener->next;
  pthread_mutex_unlock(&delivery.lock);
  arrange(true);
  if (delivery.listeners == NULL && delivery.descriptor >= 0) stop_thread();
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
  if (result == 0 && delivery.descriptor < 0) result = start_thread();
  if (result == 0) {
    pthread_mutex_lock(&delivery.lock);
    listener->next = delivery.listeners;
    delivery.listeners = listener;
    pthread_mutex_unlock(&delivery.lock);
    instance->listener = listener;
    ((int32_t *)(void *)out.data)[0] = delivery.descriptor;
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
    pthread_mutex_lock(&delivery.lock);
    delivery.held = hold ? delivery.held | set : delivery.held & ~set;
    pthread_mutex_unlock(&delivery.lock);
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
  pthread_mutex_lock(&delivery.lock);
  wait->id = next_wait = (next_wait + 1) & INT32_MAX;
  while (*link != NULL) link = &(*link)->next;
  *link = wait;
  pthread_mutex_unlock(&delivery.lock);
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
  pthread_mutex_lock(&delivery.lock);
  if (quiet) delivery_hush(listener);
  delivery_take(BATCH);
  struct wait *wait = *find_wait(listener, arg_int(env, argv[0]));
  if (wait == NULL || out.length < sizeof wait->record) result = -EINVAL;
  else if (wait->filled) {
    memcpy(out.data, &wait->record, sizeof wait->record);
    result = 1;
  }
  pthread_mutex_unlock(&delivery.lock);
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
  pthread_mutex_lock(&delivery.lock);
  struct wait **link = find_wait(listener, arg_int(env, argv[0])), *wait = *link;
  if (wait != NULL && out.length >= sizeof wait->record) {
    *link = wait->next;
    result = wait->filled;
    if (wait->filled) memcpy(out.data, &wait->record, sizeof wait->record);
    free(wait);
  }
  for (struct wait *each = listener->waits; each != NULL; each = each->next) waiting |= each->filled;
  if (waiting || listener->count > 0) delivery_ring(listener); /* a wait that blocked the thread has hushed it */
  pthread_mutex_unlock(&delivery.lock);
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

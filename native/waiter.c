/* futex_waitv(2), Linux 5.16, in a helper thread: waiting for words in the event loop where io_uring cannot (ring.c).
 *
 * One thread of the process waits for up to 127 words of all its environments; more are refused. It lives while it has words. It
 * reads no word itself, the kernel does: memory that is unmapped meanwhile is EFAULT, no fault.
 *
 * The thread belongs to the process, not to an environment, since "one thread however many wait" can only be had so. Each
 * environment has an eventfd and a list of what has ended; at its end it takes its words back and joins a thread without any. */
#include "vecino.h"
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 127, SYS_FUTEX_WAITV = 449, SIZE_U32 = 2 };
struct waitv { uint64_t val, uaddr; uint32_t flags, reserved; };

struct wait {
  struct wait *next; /* among those that have ended */
  struct waiter *waiter;
  uint32_t *word, expected;
  double id;
  int result;
};
struct waiter { /* an environment's */
  int event;
  struct wait *ended;
};
enum state { NONE, RUNNING, OVER /* to be joined */ };
struct sleeper {
  pthread_t thread;
  enum state state;
  _Atomic uint32_t control; /* changed when the words do */
  int count;
  struct wait *waits[MOST];
};
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static struct sleeper *shared; /* freed when an environment ends and no other waits */

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *timeout) {
  return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}
static void stir(struct sleeper *sleeper) {
  atomic_fetch_add(&sleeper->control, 1);
  futex((uint32_t *)&sleeper->control, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL);
}
static void end(struct sleeper *sleeper, int index, int result) {
  struct wait *wait = sleeper->waits[index];
  sleeper->waits[index] = sleeper->waits[--sleeper->count];
  wait->result = result;
  wait->next = wait->waiter->ended;
  wait->waiter->ended = wait;
  eventfd_write(wait->waiter->event, 1);
}
static int find(const struct sleeper *sleeper, const struct waiter *waiter, double id) {
  for (int i = 0; i < sleeper->count; i++)
    if (sleeper->waits[i]->waiter == waiter && sleeper->waits[i]->id == id) return i;
  return -1;
}

static void *run(void *data) {
  struct sleeper *sleeper = data;
  struct waitv words[MOST + 1];
  struct { struct waiter *waiter; double id; } known[MOST + 1];
  pthread_mutex_lock(&guard);
  while (sleeper->count > 0) {
    int count = sleeper->count;
    words[0] = (struct waitv){atomic_load(&sleeper->control), (uintptr_t)&sleeper->control, SIZE_U32 | FUTEX_PRIVATE_FLAG, 0};
    for (int i = 0; i < count; i++) {
      struct wait *wait = sleeper->waits[i];
      words[i + 1] = (struct waitv){wait->expected, (uintptr_t)wait->word, SIZE_U32, 0};
      known[i + 1].waiter = wait->waiter;
      known[i + 1].id = wait->id;
    }
    pthread_mutex_unlock(&guard);
    long woken = syscall(SYS_FUTEX_WAITV, words, (unsigned)count + 1, 0, NULL, 0);
    int error = woken < 0 ? errno : 0;
    pthread_mutex_lock(&guard);
    for (int i = 1; i <= count; i++) {
      int index = find(sleeper, known[i].waiter, known[i].id);
      uint32_t *word = (uint32_t *)(uintptr_t)words[i].uaddr;
      if (index < 0) { /* taken back meanwhile: the wake that it may have used up is somebody else's */
        futex(word, FUTEX_WAKE, 1, NULL);
      } else if (woken == i) {
        end(sleeper, index, 0);
      } else if (error != 0 && error != EINTR) { /* a word differs, or is gone; the kernel does not say which */
        static const struct timespec now = {0, 0};
        if (futex(word, FUTEX_WAIT, (uint32_t)words[i].val, &now) < 0 && errno != ETIMEDOUT && errno != EINTR) end(sleeper, index, -errno);
      }
    }
  }
  sleeper->state = OVER;
  pthread_mutex_unlock(&guard);
  return NULL;
}

static int begin(struct sleeper *sleeper) { /* with the guard held */
  if (sleeper->state == RUNNING) return 0;
  if (sleeper->state == OVER) pthread_join(sleeper->thread, NULL);
  sleeper->state = NONE;
  sigset_t all, before; /* the program's signals are not this thread's business */
  pthread_attr_t attributes;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  int error = pthread_create(&sleeper->thread, &attributes, run, sleeper);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error == 0) sleeper->state = RUNNING;
  return error;
}

static napi_value call_waiter_open(napi_env env, napi_callback_info info) { /* the eventfd */
  ARGUMENTS(1);
  if (instance->waiter != NULL) return give_int(env, -EEXIST);
  if (syscall(SYS_FUTEX_WAITV, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS) return give_int(env, -ENOSYS);
  struct waiter *waiter = calloc(1, sizeof *waiter);
  if (waiter == NULL) return give_int(env, -ENOMEM);
  waiter->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (waiter->event < 0) {
    int error = errno;
    free(waiter);
    return give_int(env, -error);
  }
  instance->waiter = waiter;
  instance->counters->calls += 2;
  return give_int(env, waiter->event);
}

static napi_value call_waiter_wait(napi_env env, napi_callback_info info) { /* view, offset, expected, id; ENOSPC: no more words */
  ARGUMENTS(4);
  struct bytes bytes = arg_bytes(env, argv[0]);
  double at = arg_double(env, argv[1]);
  if (instance->waiter == NULL || !(at >= 0 && at + 4 <= (double)bytes.length)) return give_int(env, -EINVAL);
  struct wait *wait = calloc(1, sizeof *wait);
  if (wait == NULL) return give_int(env, -ENOMEM);
  wait->waiter = instance->waiter;
  wait->word = (uint32_t *)(void *)(bytes.data + (size_t)at);
  wait->expected = (uint32_t)arg_int64(env, argv[2]);
  wait->id = arg_double(env, argv[3]);
  pthread_mutex_lock(&guard);
  if (shared == NULL) shared = calloc(1, sizeof *shared);
  struct sleeper *sleeper = shared;
  int error = sleeper == NULL ? ENOMEM : sleeper->count == MOST ? ENOSPC : 0;
  if (error == 0) {
    sleeper->waits[sleeper->count++] = wait;
    error = begin(sleeper);
    if (error != 0) sleeper->count--;
    else stir(sleeper);
  }
  pthread_mutex_unlock(&guard);
  if (error != 0) free(wait);
  instance->counters->calls++;
  return give_int(env, -error);
}
/* Ends a wait with ECANCELED, unless it has ended already. */
static napi_value call_waiter_cancel(napi_env env, napi_callback_info info) { /* id */
  ARGUMENTS(1);
  double id = arg_double(env, argv[0]);
  pthread_mutex_lock(&guard);
  int index = shared == NULL ? -1 : find(shared, instance->waiter, id);
  if (index >= 0) {
    end(shared, index, -ECANCELED);
    stir(shared);
  }
  pthread_mutex_unlock(&guard);
  instance->counters->calls++;
  return give_int(env, 0);
}
static napi_value call_waiter_reap(napi_env env, napi_callback_info info) { /* as ringReap */
  ARGUMENTS(1);
  struct bytes out = arg_bytes(env, argv[0]);
  double *pairs = (double *)(void *)out.data;
  struct waiter *waiter = instance->waiter;
  if (waiter == NULL || (uintptr_t)pairs % sizeof(double) != 0) return give_int(env, -EBADF);
  int32_t count = 0;
  eventfd_t rung;
  pthread_mutex_lock(&guard);
  while (waiter->ended != NULL && (size_t)(count + 1) * 2 * sizeof(double) <= out.length) {
    struct wait *wait = waiter->ended;
    waiter->ended = wait->next;
    pairs[2 * count] = wait->id;
    pairs[2 * count + 1] = wait->result;
    count++;
    free(wait);
  }
  if (waiter->ended == NULL) eventfd_read(waiter->event, &rung);
  pthread_mutex_unlock(&guard);
  instance->counters->calls++;
  return give_int(env, count);
}

void waiter_close(struct instance *instance) {
  struct waiter *waiter = instance->waiter;
  if (waiter == NULL) return;
  instance->waiter = NULL;
  pthread_mutex_lock(&guard);
  struct sleeper *sleeper = shared;
  if (sleeper != NULL) {
    for (int i = sleeper->count - 1; i >= 0; i--)
      if (sleeper->waits[i]->waiter == waiter) end(sleeper, i, -ECANCELED);
    stir(sleeper);
    if (sleeper->count == 0) { /* the addon's code may be unloaded next: no thread may be in it that nobody waits for any more */
      enum state state = sleeper->state;
      shared = NULL;
      pthread_mutex_unlock(&guard);
      if (state != NONE) pthread_join(sleeper->thread, NULL);
      free(sleeper);
      pthread_mutex_lock(&guard);
    }
  }
  pthread_mutex_unlock(&guard);
  while (waiter->ended != NULL) {
    struct wait *wait = waiter->ended;
    waiter->ended = wait->next;
    free(wait);
  }
  close(waiter->event);
  free(waiter);
}
static napi_value call_waiter_close(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  waiter_close(instance);
  return give_int(env, 0);
}

void export_waiter(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"waiterOpen", call_waiter_open}, {"waiterClose", call_waiter_close}, {"waiterWait", call_waiter_wait},
    {"waiterCancel", call_waiter_cancel}, {"waiterReap", call_waiter_reap},
  };
  EXPORT_METHODS(methods);
}

/* POSIX semaphores in memory that processes share: sem_init(3), sem_trywait(3), sem_post(3), sem_clockwait(3),
 * sem_getvalue(3). A named one is the same thing in a file that is mapped, see src/sync/semaphore.ts.
 *
 * Where the C library's layout is known (src/system/semaphore.ts looks), permits are taken and given in TypeScript, and
 * only the registration of a waiter is here. */
#include "vecino.h"
#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>

/* The semaphore at a byte offset of a view; NULL if it is outside or not aligned. */
static sem_t *semaphore_at(napi_env env, napi_value view, napi_value offset) {
  struct bytes bytes = arg_bytes(env, view);
  double at = arg_double(env, offset);
  if (!(at >= 0 && at + sizeof(sem_t) <= (double)bytes.length)) return NULL;
  uint8_t *semaphore = bytes.data + (size_t)at;
  return (uintptr_t)semaphore % 8 == 0 ? (sem_t *)(void *)semaphore : NULL;
}
#define SEMAPHORE(view, offset)                      \
  sem_t *semaphore = semaphore_at(env, view, offset); \
  if (semaphore == NULL) return give_int(env, -EINVAL)

static napi_value call_sem_init(napi_env env, napi_callback_info info) { /* view, offset, value */
  ARGUMENTS(3);
  SEMAPHORE(argv[0], argv[1]);
  return give_call(env, instance, sem_init(semaphore, 1, (unsigned)arg_int64(env, argv[2])));
}
static napi_value call_sem_trywait(napi_env env, napi_callback_info info) { /* view, offset */
  ARGUMENTS(2);
  SEMAPHORE(argv[0], argv[1]);
  return give_call(env, instance, sem_trywait(semaphore));
}
static napi_value call_sem_post(napi_env env, napi_callback_info info) { /* view, offset */
  ARGUMENTS(2);
  SEMAPHORE(argv[0], argv[1]);
  return give_call(env, instance, sem_post(semaphore));
}
static napi_value call_sem_getvalue(napi_env env, napi_callback_info info) { /* view, offset */
  ARGUMENTS(2);
  SEMAPHORE(argv[0], argv[1]);
  int value = 0;
  int result = sem_getvalue(semaphore, &value);
  return give_call(env, instance, result == 0 ? value : result);
}
static napi_value call_sem_timedwait(napi_env env, napi_callback_info info) { /* view, offset, milliseconds */
  ARGUMENTS(3);
  SEMAPHORE(argv[0], argv[1]);
  struct timespec spec, *timeout = arg_timeout(env, argv[2], &spec);
  if (timeout == NULL) return give_call(env, instance, sem_wait(semaphore));
  struct timespec end; /* of the realtime clock: musl has no sem_clockwait, and callers wait in slices */
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += spec.tv_sec;
  end.tv_nsec += spec.tv_nsec;
  if (end.tv_nsec > 999999999) end.tv_sec++, end.tv_nsec -= 1000000000;
  return give_call(env, instance, sem_timedwait(semaphore, &end));
}
/* Adds to the number of waiters in the upper half, as the GNU C library does: one atomic operation on both halves. That
 * orders it against any poster's on the value, be it of 32 bits or 64: either the poster's comes first in the order of
 * the word that both write, and then the value given back has its permit; or this one does, and then the poster, who
 * looks at the waiters after its own, sees this waiter. Gives the value. */
static napi_value call_sem_register(napi_env env, napi_callback_info info) { /* view, offset, 1 or -1 */
  ARGUMENTS(3);
  SEMAPHORE(argv[0], argv[1]);
  uint64_t waiters = (uint64_t)arg_int64(env, argv[2]) << 32;
  return give_int(env, (int32_t)(uint32_t)atomic_fetch_add((_Atomic uint64_t *)(void *)semaphore, waiters));
}

void export_semaphore(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"semInit", call_sem_init}, {"semTrywait", call_sem_trywait}, {"semPost", call_sem_post}, {"semGetvalue", call_sem_getvalue},
    {"semTimedwait", call_sem_timedwait}, {"semRegister", call_sem_register},
  };
  static const struct constant constants[] = {
    {"SEM_SIZE", sizeof(sem_t)}, {"SEM_VALUE_MAX", SEM_VALUE_MAX},
#ifdef __GLIBC__
    {"SEM_FILE_PREFIX", 1}, /* sem_open(3) of NAME keeps it in /dev/shm/sem.NAME; musl in /dev/shm/NAME */
#else
    {"SEM_FILE_PREFIX", 0},
#endif
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

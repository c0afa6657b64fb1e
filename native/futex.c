/* futex(2) and futex_waitv(2), on words that processes share (never FUTEX_PRIVATE_FLAG). */
#include "vecino.h"
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The word at a byte offset of a view; NULL if it is outside or not aligned. */
static uint32_t *word_at(napi_env env, napi_value view, napi_value offset) {
  struct bytes bytes = arg_bytes(env, view);
  double at = arg_double(env, offset);
  if (!(at >= 0 && at + 4 <= (double)bytes.length)) return NULL;
  uint8_t *word = bytes.data + (size_t)at;
  return (uintptr_t)word % 4 == 0 ? (uint32_t *)(void *)word : NULL;
}
static napi_value call_futex_wait(napi_env env, napi_callback_info info) { /* view, offset, expected, milliseconds */
  ARGUMENTS(4);
  struct timespec spec;
  uint32_t *word = word_at(env, argv[0], argv[1]);
  if (word == NULL) return give_int(env, -EINVAL);
  struct timespec *timeout = arg_timeout(env, argv[3], &spec);
  return give_call(env, instance, syscall(SYS_futex, word, FUTEX_WAIT, (uint32_t)arg_int64(env, argv[2]), timeout, NULL, 0));
}
static napi_value call_futex_wake(napi_env env, napi_callback_info info) { /* view, offset, count */
  ARGUMENTS(3);
  uint32_t *word = word_at(env, argv[0], argv[1]);
  if (word == NULL) return give_int(env, -EINVAL);
  return give_call(env, instance, syscall(SYS_futex, word, FUTEX_WAKE, arg_int(env, argv[2]), NULL, NULL, 0));
}

/* futex_waitv(2), Linux 5.16: words of one view, as pairs of index and value. Its time is absolute. */
static napi_value call_futex_waitv(napi_env env, napi_callback_info info) { /* view, Int32Array of pairs, milliseconds */
  ARGUMENTS(3);
  enum { MOST = 128, SYS_FUTEX_WAITV = 449, SIZE_U32 = 2 };
  struct { uint64_t value, address; uint32_t flags, reserved; } words[MOST];
  struct bytes view = arg_bytes(env, argv[0]), pairs = arg_bytes(env, argv[1]);
  const uint32_t *pair = (const uint32_t *)(void *)pairs.data;
  size_t count = pairs.length / 8;
  if (count == 0 || count > MOST || (uintptr_t)pair % 4 != 0) return give_int(env, -EINVAL);
  for (size_t i = 0; i < count; i++) {
    if (((size_t)pair[2 * i] + 1) * 4 > view.length) return give_int(env, -EINVAL);
    words[i].value = pair[2 * i + 1];
    words[i].address = (uintptr_t)view.data + (size_t)pair[2 * i] * 4;
    words[i].flags = SIZE_U32;
    words[i].reserved = 0;
  }
  struct timespec spec, now, *end = arg_timeout(env, argv[2], &spec);
  if (end != NULL) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    end->tv_sec += now.tv_sec;
    end->tv_nsec += now.tv_nsec;
    if (end->tv_nsec > 999999999) end->tv_sec++, end->tv_nsec -= 1000000000;
  }
  return give_call(env, instance, syscall(SYS_FUTEX_WAITV, words, (unsigned)count, 0, end, CLOCK_MONOTONIC));
}

void export_futex(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"futexWait", call_futex_wait}, {"futexWake", call_futex_wake}, {"futexWaitv", call_futex_waitv}};
  EXPORT_METHODS(methods);
}

/* futex(2), on words that processes share (never FUTEX_PRIVATE_FLAG). */
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

void export_futex(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"futexWait", call_futex_wait}, {"futexWake", call_futex_wake}};
  EXPORT_METHODS(methods);
}

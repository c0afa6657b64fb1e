/* pipe2(2), mkfifo(3). */
#include "vecino.h"
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static napi_value call_pipe2(napi_env env, napi_callback_info info) { /* into an Int32Array of 2: reader, writer */
  ARGUMENTS(2);
  struct bytes out = arg_bytes(env, argv[0]);
  if (out.length < 2 * sizeof(int)) return give_int(env, -EINVAL);
  int *pair = (int *)(void *)out.data, result = pipe2(pair, arg_int(env, argv[1]));
  if (result == 0 && !descriptor_own_pair(instance, pair)) result = -1;
  return give_call(env, instance, result);
}
static napi_value call_mkfifo(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  char path[PATH_MAX];
  if (!arg_text(env, argv[0], path, sizeof path)) return give_int(env, -ENAMETOOLONG);
  return give_call(env, instance, mkfifo(path, (mode_t)arg_int(env, argv[1])));
}

void export_pipe(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"pipe2", call_pipe2}, {"mkfifo", call_mkfifo}};
  EXPORT_METHODS(methods);
}

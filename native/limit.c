/* getrlimit(2). */
#include "vecino.h"
#include <math.h>
#include <sys/resource.h>

static napi_value call_getrlimit(napi_env env, napi_callback_info info) { /* resource: the soft limit, Infinity for none */
  ARGUMENTS(1);
  struct rlimit limit;
  int result = getrlimit((unsigned)arg_int(env, argv[0]), &limit);
  if (result != 0) return give_call(env, instance, result);
  instance->counters->calls++;
  return give_double(env, limit.rlim_cur == RLIM_INFINITY ? INFINITY : (double)limit.rlim_cur);
}

void export_limit(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"getrlimit", call_getrlimit}};
  static const struct constant constants[] = {
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NOFILE", RLIMIT_NOFILE}, {"RLIMIT_AS", RLIMIT_AS},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

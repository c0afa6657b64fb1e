/* eventfd(2). */
#include "vecino.h"
#include <sys/eventfd.h>

static napi_value call_eventfd(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  return give_descriptor(env, instance, eventfd((unsigned)arg_int64(env, argv[0]), arg_int(env, argv[1])));
}

void export_eventfd(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"eventfd", call_eventfd}};
  static const struct constant constants[] = {{"EFD_CLOEXEC", EFD_CLOEXEC}, {"EFD_NONBLOCK", EFD_NONBLOCK}, {"EFD_SEMAPHORE", EFD_SEMAPHORE}};
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

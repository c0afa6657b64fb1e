/* membarrier(2): a memory barrier on every processor that runs a process which has registered for it. Who sleeps rarely pays for those
 * who write often. */
#include "vecino.h"
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static napi_value call_membarrier(napi_env env, napi_callback_info info) { /* command */
  ARGUMENTS(1);
  return give_call(env, instance, syscall(SYS_membarrier, arg_int(env, argv[0]), 0, 0));
}

void export_membarrier(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"membarrier", call_membarrier}};
  static const struct constant constants[] = {
    {"MEMBARRIER_CMD_GLOBAL_EXPEDITED", MEMBARRIER_CMD_GLOBAL_EXPEDITED},
    {"MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED", MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

/* On which processor a thread runs, and whether others come first: sched_yield(2), sched_getaffinity(2). */
#include "vecino.h"
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

static napi_value call_sched_yield(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  return give_call(env, instance, sched_yield());
}
static napi_value call_getcpu(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  return give_call(env, instance, sched_getcpu());
}
/* This thread's mask, a bit for each processor. The system calls, not the C library's: the length is the kernel's. */
static napi_value call_sched_getaffinity(napi_env env, napi_callback_info info) { /* a view */
  ARGUMENTS(1);
  struct bytes mask = arg_bytes(env, argv[0]);
  return give_call(env, instance, syscall(SYS_sched_getaffinity, 0, mask.length, mask.data));
}
static napi_value call_sched_setaffinity(napi_env env, napi_callback_info info) { /* a view */
  ARGUMENTS(1);
  struct bytes mask = arg_bytes(env, argv[0]);
  return give_call(env, instance, syscall(SYS_sched_setaffinity, 0, mask.length, mask.data));
}

void export_scheduling(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"schedYield", call_sched_yield}, {"getcpu", call_getcpu}, {"schedGetaffinity", call_sched_getaffinity},
    {"schedSetaffinity", call_sched_setaffinity},
  };
  EXPORT_METHODS(methods);
}

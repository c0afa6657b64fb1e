/* What a process is to the kernel: gettid(2), getppid(2), prctl(2); and the C library's words for an errno. */
#include "vecino.h"
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static napi_value call_gettid(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  return give_call(env, instance, syscall(SYS_gettid));
}
/* This process gets the signal when the thread that started it ends: PR_SET_PDEATHSIG. */
static napi_value call_set_parent_death_signal(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  return give_call(env, instance, prctl(PR_SET_PDEATHSIG, arg_int(env, argv[0]), 0, 0, 0));
}
static napi_value call_strerror(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  napi_value result = NULL;
  napi_create_string_utf8(env, strerror(arg_int(env, argv[0])), NAPI_AUTO_LENGTH, &result);
  return result;
}

void export_process(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"gettid", call_gettid}, {"setParentDeathSignal", call_set_parent_death_signal}, {"strerror", call_strerror},
  };
  EXPORT_METHODS(methods);
}

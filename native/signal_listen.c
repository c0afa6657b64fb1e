/* The calls by which an environment listens to signals. The work is done by signal_members.c, of this copy of the addon or of another. */
#include "signals.h"
#include <stdlib.h>
#include <string.h>

void listener_forget(struct instance *instance) {
  if (instance->listener != NULL) signal_core()->leave(instance->listener);
  instance->listener = NULL;
}

static uint64_t arg_set(napi_env env, napi_value value) { /* a view of 8 bytes */
  struct bytes bytes = arg_bytes(env, value);
  uint64_t set = 0;
  if (bytes.length == sizeof set) memcpy(&set, bytes.data, sizeof set);
  return set;
}
static bool arg_bool(napi_env env, napi_value value) {
  bool result = false;
  napi_get_value_bool(env, value, &result);
  return result;
}
#define LISTENER                                               \
  struct listener *listener = instance->listener;              \
  if (listener == NULL) return give_int(env, -EBADF)
/* A view of one record, or more. */
#define RECORDS(argument)                                                                     \
  struct bytes out = arg_bytes(env, argument);                                                \
  struct record *records = (struct record *)(void *)out.data;                                 \
  if (out.length < sizeof *records) return give_int(env, -EINVAL)

static napi_value call_listen(napi_env env, napi_callback_info info) { /* an Int32Array: the signalfd, the bell */
  ARGUMENTS(1);
  struct bytes out = arg_bytes(env, argv[0]);
  if (out.length < 2 * sizeof(int32_t)) return give_int(env, -EINVAL);
  if (instance->listener != NULL) return give_int(env, -EEXIST);
  int result = signal_core()->prepare(signals_find_libuv, instance);
  if (result == 0) result = signal_core()->join(&instance->listener, (int32_t *)(void *)out.data);
  instance->counters->calls += 2;
  return give_int(env, result);
}
static napi_value call_unlisten(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  listener_forget(instance);
  return give_int(env, 0);
}
static napi_value call_handle(napi_env env, napi_callback_info info) { /* signal, whether there are handlers for it here */
  ARGUMENTS(2);
  LISTENER;
  return give_int(env, signal_core()->handle(listener, arg_int(env, argv[0]), arg_bool(env, argv[1])));
}
static napi_value call_hold(napi_env env, napi_callback_info info) { /* set, whether they are to be blocked */
  ARGUMENTS(2);
  int result = signal_core()->prepare(signals_find_libuv, instance);
  if (result == 0) signal_core()->hold(arg_set(env, argv[0]), arg_bool(env, argv[1]));
  return give_int(env, result);
}
static napi_value call_take(napi_env env, napi_callback_info info) { /* a view of records: how many were written */
  ARGUMENTS(1);
  LISTENER;
  RECORDS(argv[0]);
  instance->counters->calls++;
  return give_int(env, signal_core()->take(listener, records, (uint32_t)(out.length / sizeof *records)));
}

static napi_value call_wait(napi_env env, napi_callback_info info) { /* set: what the wait is known by */
  ARGUMENTS(1);
  LISTENER;
  return give_int(env, signal_core()->wait(listener, arg_set(env, argv[0])));
}
static napi_value call_wait_take(napi_env env, napi_callback_info info) { /* wait, a view of a record, whether to hush the bell: 1 if it was written */
  ARGUMENTS(3);
  LISTENER;
  RECORDS(argv[1]);
  instance->counters->calls++;
  return give_int(env, signal_core()->take_wait(listener, arg_int(env, argv[0]), records, arg_bool(env, argv[2])));
}
static napi_value call_wait_end(napi_env env, napi_callback_info info) { /* wait, a view of a record: 1 if it was written */
  ARGUMENTS(2);
  LISTENER;
  RECORDS(argv[1]);
  return give_int(env, signal_core()->end_wait(listener, arg_int(env, argv[0]), records));
}
static napi_value call_try_wait(napi_env env, napi_callback_info info) { /* set, a view of a record: 1 if it was written */
  ARGUMENTS(2);
  RECORDS(argv[1]);
  instance->counters->calls++;
  return give_int(env, signal_core()->try_wait(instance->listener, arg_set(env, argv[0]), records));
}

static napi_value call_ignore(napi_env env, napi_callback_info info) { /* signal */
  ARGUMENTS(1);
  int result = signal_core()->prepare(signals_find_libuv, instance);
  if (result == 0) result = signal_core()->ignore(arg_int(env, argv[0]));
  instance->counters->calls++;
  return give_int(env, result);
}
static napi_value call_restore(napi_env env, napi_callback_info info) { /* signal */
  ARGUMENTS(1);
  signal_core()->restore(arg_int(env, argv[0]));
  instance->counters->calls++;
  return give_int(env, 0);
}

void export_signal_listen(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"signalListen", call_listen}, {"signalUnlisten", call_unlisten}, {"signalHandle", call_handle}, {"signalHold", call_hold},
    {"signalTake", call_take}, {"signalWait", call_wait}, {"signalWaitTake", call_wait_take}, {"signalWaitEnd", call_wait_end},
    {"signalTryWait", call_try_wait}, {"signalIgnore", call_ignore}, {"signalRestore", call_restore},
  };
  EXPORT_METHODS(methods);
}

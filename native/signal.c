/* kill(2) and sigqueue(3); the numbers of signals and of their origins. Receiving is signal_listen.c's. */
#include "signals.h"
#include <string.h>

static napi_value call_kill(napi_env env, napi_callback_info info) { /* pid, signal */
  ARGUMENTS(2);
  pid_t pid = (pid_t)arg_int(env, argv[0]);
  if (pid == -1 || pid == 0) return give_int(env, -EINVAL); /* everybody, and our own group: never by a slip */
  return give_call(env, instance, kill(pid, arg_int(env, argv[1])));
}
static napi_value call_sigqueue(napi_env env, napi_callback_info info) { /* pid, signal, value */
  ARGUMENTS(3);
  union sigval value;
  memset(&value, 0, sizeof value); /* the pointer is the longer member */
  value.sival_int = arg_int(env, argv[2]);
  return give_call(env, instance, sigqueue((pid_t)arg_int(env, argv[0]), arg_int(env, argv[1]), value));
}

void export_signal(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"kill", call_kill}, {"sigqueue", call_sigqueue}};
  const struct constant constants[] = {
    {"SIGRTMIN", SIGRTMIN}, {"SIGRTMAX", SIGRTMAX},
    {"SI_USER", SI_USER}, {"SI_KERNEL", SI_KERNEL}, {"SI_QUEUE", SI_QUEUE}, {"SI_TIMER", SI_TIMER}, {"SI_MESGQ", SI_MESGQ},
    {"SI_ASYNCIO", SI_ASYNCIO}, {"SI_SIGIO", SI_SIGIO}, {"SI_TKILL", SI_TKILL},
    {"CLD_EXITED", CLD_EXITED}, {"CLD_KILLED", CLD_KILLED}, {"CLD_DUMPED", CLD_DUMPED}, {"CLD_TRAPPED", CLD_TRAPPED},
    {"CLD_STOPPED", CLD_STOPPED}, {"CLD_CONTINUED", CLD_CONTINUED},
    {"POLL_IN", POLL_IN}, {"POLL_OUT", POLL_OUT}, {"POLL_MSG", POLL_MSG}, {"POLL_ERR", POLL_ERR}, {"POLL_PRI", POLL_PRI}, {"POLL_HUP", POLL_HUP},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

/* Keys of System V objects (queues, semaphores, segments): ftok(3), and the flags of msgget(2), semget(2), shmget(2). */
#include "vecino.h"
#include <limits.h>
#include <sys/ipc.h>

static napi_value call_ftok(napi_env env, napi_callback_info info) { /* path, project, Int32Array that receives the key */
  ARGUMENTS(3);
  char path[PATH_MAX];
  struct bytes out = arg_bytes(env, argv[2]);
  if (out.length < sizeof(int32_t)) return give_int(env, -EINVAL);
  if (!arg_text(env, argv[0], path, sizeof path)) return give_int(env, -ENAMETOOLONG);
  errno = 0; /* -1 may be a key */
  key_t key = ftok(path, arg_int(env, argv[1]));
  *(int32_t *)(void *)out.data = key;
  return give_call(env, instance, key == -1 && errno != 0 ? -1 : 0);
}

void export_sysv_key(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"ftok", call_ftok}};
  static const struct constant constants[] = {
    {"IPC_PRIVATE", IPC_PRIVATE}, {"IPC_CREAT", IPC_CREAT}, {"IPC_EXCL", IPC_EXCL}, {"IPC_NOWAIT", IPC_NOWAIT},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

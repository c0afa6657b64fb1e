/* shmget(2), shmat(2), shmdt(2), shmctl(2). The mapping itself lives in memory.c, as any other. */
#include "mapping.h"
#include "vecino.h"
#include <sys/ipc.h>
#include <sys/shm.h>

static napi_value call_shmget(napi_env env, napi_callback_info info) { /* key, size, flags */
  ARGUMENTS(3);
  return give_call(env, instance, shmget((key_t)arg_int64(env, argv[0]), (size_t)arg_int64(env, argv[1]), arg_int(env, argv[2])));
}
static void detach(void *start, size_t length) { shmdt(start); }

static napi_value call_shmat(napi_env env, napi_callback_info info) { /* id, size, slot out */
  ARGUMENTS(3);
  struct bytes out = arg_bytes(env, argv[2]);
  if (out.length < sizeof(int32_t)) return give_int(env, -EINVAL);
  void *start = shmat(arg_int(env, argv[0]), NULL, 0);
  if (start == (void *)-1) return give_call(env, instance, -1);
  instance->counters->calls++;
  return give_mapping(instance, start, (size_t)arg_int64(env, argv[1]), false, detach, (int32_t *)(void *)out.data);
}
static napi_value call_shm_remove(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  return give_call(env, instance, shmctl(arg_int(env, argv[0]), IPC_RMID, NULL));
}
static napi_value call_shm_status(napi_env env, napi_callback_info info) { /* id, Float64Array of 6, in this order */
  ARGUMENTS(2);
  struct shmid_ds status;
  struct bytes out = arg_bytes(env, argv[1]);
  if (out.length < 6 * sizeof(double)) return give_int(env, -EINVAL);
  int result = shmctl(arg_int(env, argv[0]), IPC_STAT, &status);
  if (result == 0) {
    double *field = (double *)(void *)out.data;
    field[0] = (double)status.shm_segsz, field[1] = (double)status.shm_nattch, field[2] = status.shm_cpid;
    field[3] = status.shm_lpid, field[4] = status.shm_perm.mode & 0777, field[5] = status.shm_perm.uid;
  }
  return give_call(env, instance, result);
}

void export_sysv_memory(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"shmget", call_shmget}, {"shmat", call_shmat}, {"shmRemove", call_shm_remove}, {"shmStatus", call_shm_status},
  };
  EXPORT_METHODS(methods);
}

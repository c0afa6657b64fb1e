/* System V semaphores: semget(2), semop(2) as semtimedop(2), semctl(2).
 *
 * A set has no descriptor. Whoever waits in the event loop has a helper thread (thread.c) that blocks in semtimedop.
 * What SEM_UNDO keeps is the process's and not the thread's (threads are made with CLONE_SYSVSEM), so it outlives the
 * helper. Interrupted, the call has done nothing. */
#include "thread.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>

union semun { /* semctl(2): the caller defines it */
  int val;
  struct semid_ds *buf;
  unsigned short *array;
};

static napi_value call_semget(napi_env env, napi_callback_info info) { /* key, count, flags and mode */
  ARGUMENTS(3);
  return give_call(env, instance, semget(arg_int(env, argv[0]), arg_int(env, argv[1]), arg_int(env, argv[2])));
}
/* The operations: a view of struct sembuf, three 16-bit numbers each (index, delta, flags). */
static bool arg_operations(napi_env env, napi_value view, napi_value count, struct sembuf **operations, size_t *number) {
  struct bytes bytes = arg_bytes(env, view);
  double wanted = arg_double(env, count);
  *operations = (struct sembuf *)(void *)bytes.data;
  *number = (size_t)wanted;
  return wanted >= 1 && wanted * sizeof(struct sembuf) <= (double)bytes.length && (uintptr_t)bytes.data % _Alignof(struct sembuf) == 0;
}
static napi_value call_semtimedop(napi_env env, napi_callback_info info) { /* id, operations, count, milliseconds */
  ARGUMENTS(4);
  struct timespec spec;
  struct sembuf *operations;
  size_t number;
  if (!arg_operations(env, argv[1], argv[2], &operations, &number)) return give_int(env, -EINVAL);
  return give_call(env, instance, semtimedop(arg_int(env, argv[0]), operations, number, arg_timeout(env, argv[3], &spec)));
}

struct operator {
  struct helper helper; /* first: a helper is cast back to its operator */
  int id, result;       /* of semtimedop, or errno negated */
  size_t number;
  struct sembuf operations[];
};
static void operate(struct helper *helper) {
  struct operator *operator = (struct operator *)helper;
  do operator->result = semtimedop(operator->id, operator->operations, operator->number, NULL);
  while (helper_again(helper, operator->result));
  if (operator->result < 0) operator->result = -errno;
}
/* Done, but nobody is left to hear of it: given back if that is possible without waiting. */
static void discard(struct helper *helper) {
  struct operator *operator = (struct operator *)helper;
  struct sembuf *reverse = operator->result == 0 ? malloc(operator->number * sizeof *reverse) : NULL;
  if (reverse != NULL) {
    size_t count = 0;
    for (size_t i = 0; i < operator->number; i++) {
      struct sembuf done = operator->operations[operator->number - 1 - i];
      if (done.sem_op != 0) reverse[count++] = (struct sembuf){done.sem_num, (short)-done.sem_op, (short)(done.sem_flg | IPC_NOWAIT)};
    }
    if (count > 0) semtimedop(operator->id, reverse, count, NULL);
    free(reverse);
  }
  free(operator);
}
static napi_value call_sem_operate_start(napi_env env, napi_callback_info info) { /* id, operations, count: the eventfd */
  ARGUMENTS(3);
  struct sembuf *operations;
  size_t number;
  if (!arg_operations(env, argv[1], argv[2], &operations, &number)) return give_int(env, -EINVAL);
  struct operator *operator = calloc(1, sizeof *operator + number * sizeof *operations);
  if (operator == NULL) return give_int(env, -ENOMEM);
  operator->helper.block = operate;
  operator->helper.discard = discard;
  operator->id = arg_int(env, argv[0]);
  operator->number = number;
  memcpy(operator->operations, operations, number * sizeof *operations);
  int event = helper_start(instance, &operator->helper);
  if (event < 0) free(operator);
  return give_int(env, event);
}
static napi_value call_sem_operate_finish(napi_env env, napi_callback_info info) { /* eventfd, cancel: semtimedop's result, -EINTR if cancelled */
  ARGUMENTS(2);
  bool cancel = false;
  struct operator *operator = (struct operator *)helper_find(instance, arg_int(env, argv[0]), operate);
  if (operator == NULL) return give_int(env, -EBADF);
  napi_get_value_bool(env, argv[1], &cancel);
  instance->counters->calls += 2;
  helper_finish(instance, &operator->helper, cancel);
  int result = operator->result;
  free(operator);
  return give_int(env, result);
}

static napi_value call_semctl(napi_env env, napi_callback_info info) { /* id, index, command, value: those without a pointer */
  ARGUMENTS(4);
  union semun argument = {.val = arg_int(env, argv[3])};
  return give_call(env, instance, semctl(arg_int(env, argv[0]), arg_int(env, argv[1]), arg_int(env, argv[2]), argument));
}
/* GETALL or SETALL: the view must hold as many numbers as the set. That is asked first, and a set cannot change its size. */
static napi_value call_semctl_all(napi_env env, napi_callback_info info) { /* id, command, Uint16Array */
  ARGUMENTS(3);
  struct semid_ds status;
  struct bytes bytes = arg_bytes(env, argv[2]);
  int result = semctl(arg_int(env, argv[0]), 0, IPC_STAT, (union semun){.buf = &status});
  if (result < 0) return give_call(env, instance, result);
  if (bytes.length < status.sem_nsems * sizeof(unsigned short)) return give_int(env, -EINVAL);
  return give_call(env, instance, semctl(arg_int(env, argv[0]), 0, arg_int(env, argv[1]), (union semun){.array = (unsigned short *)(void *)bytes.data}));
}
static napi_value call_sem_stat(napi_env env, napi_callback_info info) { /* id, Float64Array of 8, in this order */
  ARGUMENTS(2);
  struct semid_ds status;
  struct bytes out = arg_bytes(env, argv[1]);
  if (out.length < 8 * sizeof(double)) return give_int(env, -EINVAL);
  int result = semctl(arg_int(env, argv[0]), 0, IPC_STAT, (union semun){.buf = &status});
  if (result == 0) {
    double *field = (double *)(void *)out.data;
    field[0] = (double)status.sem_nsems, field[1] = status.sem_perm.mode & 0777, field[2] = status.sem_perm.uid, field[3] = status.sem_perm.gid;
    field[4] = status.sem_perm.cuid, field[5] = (double)status.sem_otime, field[6] = (double)status.sem_ctime, field[7] = status.sem_perm.__key;
  }
  return give_call(env, instance, result);
}

void export_sysv_semaphore(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"semget", call_semget}, {"semtimedop", call_semtimedop}, {"semctl", call_semctl}, {"semctlAll", call_semctl_all},
    {"semStat", call_sem_stat}, {"semOperateStart", call_sem_operate_start}, {"semOperateFinish", call_sem_operate_finish},
  };
  static const struct constant constants[] = {
    {"IPC_CREAT", IPC_CREAT}, {"IPC_EXCL", IPC_EXCL}, {"IPC_NOWAIT", IPC_NOWAIT}, {"IPC_RMID", IPC_RMID}, {"SEM_UNDO", SEM_UNDO},
    {"GETPID", GETPID}, {"GETNCNT", GETNCNT}, {"GETZCNT", GETZCNT}, {"GETVAL", GETVAL}, {"SETVAL", SETVAL}, {"GETALL", GETALL}, {"SETALL", SETALL},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

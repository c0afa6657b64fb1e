/* Open-file-description locks: F_OFD_SETLK and F_OFD_SETLKW of fcntl(2).
 *
 * A lock belongs to the open file description and not to a thread, so one that a helper thread (thread.c) waited for is the
 * owner's. Interrupted, F_OFD_SETLKW has locked nothing: the call's result alone says which. */
#include "thread.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static napi_value call_file_lock(napi_env env, napi_callback_info info) { /* fd, command, type, start, length */
  ARGUMENTS(5);
  struct flock lock = {.l_type = (short)arg_int(env, argv[2]), .l_whence = SEEK_SET, .l_start = arg_int64(env, argv[3]), .l_len = arg_int64(env, argv[4])};
  return give_call(env, instance, fcntl(arg_int(env, argv[0]), arg_int(env, argv[1]), &lock));
}

/* F_OFD_GETLK: where the first lock begins that would be in the way of an exclusive one, -ENOENT if there is none. */
static napi_value call_file_lock_test(napi_env env, napi_callback_info info) { /* fd, start, length */
  ARGUMENTS(3);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = arg_int64(env, argv[1]), .l_len = arg_int64(env, argv[2])};
  long result = fcntl(arg_int(env, argv[0]), F_OFD_GETLK, &lock);
  if (result == 0 && lock.l_type == F_UNLCK) { errno = ENOENT; result = -1; }
  return give_call(env, instance, result < 0 ? result : (long)lock.l_start);
}

struct locker {
  struct helper helper; /* first: a helper is cast back to its locker */
  int fd, result;       /* of fcntl, or errno negated */
  struct flock lock;
};
static void wait_for_lock(struct helper *helper) {
  struct locker *locker = (struct locker *)helper;
  do locker->result = fcntl(locker->fd, F_OFD_SETLKW, &locker->lock);
  while (helper_again(helper, locker->result));
  if (locker->result < 0) locker->result = -errno;
}
static void discard(struct helper *helper) { free(helper); } /* the descriptor goes with the environment, and the lock with it */

static napi_value call_file_lock_start(napi_env env, napi_callback_info info) { /* fd, type, start, length: the eventfd */
  ARGUMENTS(4);
  struct locker *locker = calloc(1, sizeof *locker);
  if (locker == NULL) return give_int(env, -ENOMEM);
  locker->helper.block = wait_for_lock;
  locker->helper.discard = discard;
  locker->fd = arg_int(env, argv[0]);
  locker->lock = (struct flock){.l_type = (short)arg_int(env, argv[1]), .l_whence = SEEK_SET, .l_start = arg_int64(env, argv[2]), .l_len = arg_int64(env, argv[3])};
  int event = helper_start(instance, &locker->helper);
  if (event < 0) free(locker);
  return give_int(env, event);
}
static napi_value call_file_lock_finish(napi_env env, napi_callback_info info) { /* eventfd, cancel: fcntl's result, -EINTR if cancelled */
  ARGUMENTS(2);
  bool cancel = false;
  struct locker *locker = (struct locker *)helper_find(instance, arg_int(env, argv[0]), wait_for_lock);
  if (locker == NULL) return give_int(env, -EBADF);
  napi_get_value_bool(env, argv[1], &cancel);
  instance->counters->calls += 2;
  helper_finish(instance, &locker->helper, cancel);
  int result = locker->result;
  free(locker);
  return give_int(env, result);
}

void export_file_lock(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"fileLock", call_file_lock}, {"fileLockTest", call_file_lock_test}, {"fileLockStart", call_file_lock_start}, {"fileLockFinish", call_file_lock_finish},
  };
  static const struct constant constants[] = {
    {"F_OFD_SETLK", F_OFD_SETLK}, {"F_OFD_SETLKW", F_OFD_SETLKW}, {"F_RDLCK", F_RDLCK}, {"F_WRLCK", F_WRLCK}, {"F_UNLCK", F_UNLCK},
    {"O_NOCTTY", O_NOCTTY},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

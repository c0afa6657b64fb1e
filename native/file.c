/* open(2), close(2), dup(2), fcntl(2), fstat(2), ftruncate(2), fallocate(2), fchmod(2), flock(2), link(2). */
#include "vecino.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static napi_value call_open(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  char path[PATH_MAX];
  if (!arg_text(env, argv[0], path, sizeof path)) return give_int(env, -ENAMETOOLONG);
  return give_descriptor(env, instance, open(path, arg_int(env, argv[1]), arg_int(env, argv[2])));
}
static napi_value call_close(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  int fd = arg_int(env, argv[0]);
  descriptor_forget(fd); /* first: once it is closed, another thread may own that number */
  return give_call(env, instance, close(fd));
}
static napi_value call_dup(napi_env env, napi_callback_info info) { /* dup, with close-on-exec as everywhere here */
  ARGUMENTS(1);
  return give_descriptor(env, instance, fcntl(arg_int(env, argv[0]), F_DUPFD_CLOEXEC, 3));
}
static napi_value call_dup3(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  return give_descriptor(env, instance, dup3(arg_int(env, argv[0]), arg_int(env, argv[1]), arg_int(env, argv[2])));
}
static napi_value call_fcntl(napi_env env, napi_callback_info info) { /* the commands whose argument is an integer */
  ARGUMENTS(3);
  int command = arg_int(env, argv[1]), result = fcntl(arg_int(env, argv[0]), command, arg_int(env, argv[2]));
  return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? give_descriptor(env, instance, result) : give_call(env, instance, result);
}
static napi_value call_fstat(napi_env env, napi_callback_info info) { /* into a Float64Array of 8, in this order */
  ARGUMENTS(2);
  struct stat stat;
  struct bytes out = arg_bytes(env, argv[1]);
  if (out.length < 8 * sizeof(double)) return give_int(env, -EINVAL);
  int result = fstat(arg_int(env, argv[0]), &stat);
  if (result == 0) {
    double *field = (double *)out.data;
    field[0] = (double)stat.st_dev, field[1] = (double)stat.st_ino, field[2] = stat.st_mode, field[3] = (double)stat.st_nlink;
    field[4] = stat.st_uid, field[5] = stat.st_gid, field[6] = (double)stat.st_size, field[7] = (double)stat.st_blocks;
  }
  return give_call(env, instance, result);
}
static napi_value call_ftruncate(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  return give_call(env, instance, ftruncate(arg_int(env, argv[0]), arg_int64(env, argv[1])));
}
static napi_value call_fallocate(napi_env env, napi_callback_info info) {
  ARGUMENTS(4);
  return give_call(env, instance, fallocate(arg_int(env, argv[0]), arg_int(env, argv[1]), arg_int64(env, argv[2]), arg_int64(env, argv[3])));
}
static napi_value call_fchmod(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  return give_call(env, instance, fchmod(arg_int(env, argv[0]), (mode_t)arg_int(env, argv[1])));
}
static napi_value call_flock(napi_env env, napi_callback_info info) { /* fd, LOCK_… */
  ARGUMENTS(2);
  return give_call(env, instance, flock(arg_int(env, argv[0]), arg_int(env, argv[1])));
}
/* Gives an open file (one made with O_TMPFILE) a name, by /proc because AT_EMPTY_PATH needs a privilege. EEXIST if taken. */
static napi_value call_link_descriptor(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  char source[32], path[PATH_MAX];
  if (!arg_text(env, argv[1], path, sizeof path)) return give_int(env, -ENAMETOOLONG);
  snprintf(source, sizeof source, "/proc/self/fd/%d", arg_int(env, argv[0]));
  return give_call(env, instance, linkat(AT_FDCWD, source, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
}

void export_file(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"open", call_open}, {"close", call_close}, {"dup", call_dup}, {"dup3", call_dup3}, {"fcntl", call_fcntl},
    {"fstat", call_fstat}, {"ftruncate", call_ftruncate}, {"fallocate", call_fallocate}, {"fchmod", call_fchmod},
    {"linkDescriptor", call_link_descriptor}, {"flock", call_flock},
  };
  static const struct constant constants[] = {
    {"O_RDONLY", O_RDONLY}, {"O_WRONLY", O_WRONLY}, {"O_RDWR", O_RDWR}, {"O_CREAT", O_CREAT}, {"O_EXCL", O_EXCL},
    {"O_TRUNC", O_TRUNC}, {"O_APPEND", O_APPEND}, {"O_NONBLOCK", O_NONBLOCK}, {"O_CLOEXEC", O_CLOEXEC}, {"O_PATH", O_PATH},
    {"O_TMPFILE", O_TMPFILE}, {"O_DIRECTORY", O_DIRECTORY}, {"O_NOFOLLOW", O_NOFOLLOW}, {"O_ACCMODE", O_ACCMODE},
    {"F_GETFD", F_GETFD}, {"F_SETFD", F_SETFD}, {"F_GETFL", F_GETFL}, {"F_SETFL", F_SETFL}, {"F_GETPIPE_SZ", F_GETPIPE_SZ},
    {"F_SETPIPE_SZ", F_SETPIPE_SZ}, {"F_ADD_SEALS", F_ADD_SEALS}, {"F_GET_SEALS", F_GET_SEALS}, {"FD_CLOEXEC", FD_CLOEXEC},
    {"F_SEAL_SEAL", F_SEAL_SEAL}, {"F_SEAL_SHRINK", F_SEAL_SHRINK}, {"F_SEAL_GROW", F_SEAL_GROW}, {"F_SEAL_WRITE", F_SEAL_WRITE},
    {"S_IFMT", S_IFMT}, {"S_IFREG", S_IFREG}, {"S_IFDIR", S_IFDIR}, {"S_IFIFO", S_IFIFO}, {"S_IFSOCK", S_IFSOCK}, {"S_IFCHR", S_IFCHR},
    {"FALLOC_FL_KEEP_SIZE", FALLOC_FL_KEEP_SIZE}, {"LOCK_EX", LOCK_EX}, {"LOCK_NB", LOCK_NB}, {"LOCK_UN", LOCK_UN},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

/* read(2), write(2), and the calls by which the kernel moves bytes itself: sendfile(2), splice(2), copy_file_range(2). */
#include "vecino.h"
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

/* read and write go to the kernel by syscall(2): the C library's wrappers are cancellation points, which costs a
 * program with threads (every Node program) two atomic operations a call. */
static ssize_t raw_read(int fd, void *data, size_t length) { return syscall(SYS_read, fd, data, length); }
static ssize_t raw_write(int fd, const void *data, size_t length) { return syscall(SYS_write, fd, data, length); }

static napi_value call_read(napi_env env, napi_callback_info info) { /* fd, view, offset, length */
  ARGUMENTS(4);
  struct bytes bytes;
  if (!arg_slice(env, argv[1], argv[2], argv[3], &bytes)) return give_int(env, -EINVAL);
  ssize_t result = raw_read(arg_int(env, argv[0]), bytes.data, bytes.length);
  if (result > 0) instance->counters->bytes_in += (double)result;
  return give_call(env, instance, result);
}
static napi_value call_write(napi_env env, napi_callback_info info) { /* fd, view, offset, length */
  ARGUMENTS(4);
  struct bytes bytes;
  if (!arg_slice(env, argv[1], argv[2], argv[3], &bytes)) return give_int(env, -EINVAL);
  ssize_t result = raw_write(arg_int(env, argv[0]), bytes.data, bytes.length);
  if (result > 0) instance->counters->bytes_out += (double)result;
  return give_call(env, instance, result);
}
/* The hot forms, with as little to unpack as can be: a whole view, and the buffer pool (system/buffer-pool.ts) that small reads land in. */
static napi_value call_write_whole(napi_env env, napi_callback_info info) { /* fd, typed array */
  ARGUMENTS(2);
  void *data;
  size_t length;
  if (napi_get_typedarray_info(env, argv[1], NULL, &length, &data, NULL, NULL) != napi_ok) return give_int(env, -EINVAL);
  ssize_t result = raw_write(arg_int(env, argv[0]), data, length);
  if (result > 0) instance->counters->bytes_out += (double)result;
  return give_call(env, instance, result);
}
static napi_value call_use_pool(napi_env env, napi_callback_info info) { /* the view that read_pooled fills; the caller keeps it alive */
  ARGUMENTS(1);
  struct bytes bytes = arg_bytes(env, argv[0]);
  instance->pool = bytes.data;
  instance->pool_length = (uint32_t)bytes.length;
  return NULL;
}
static napi_value call_read_pooled(napi_env env, napi_callback_info info) { /* fd, offset, length */
  ARGUMENTS(3);
  uint32_t offset = 0, length = 0;
  napi_get_value_uint32(env, argv[1], &offset);
  napi_get_value_uint32(env, argv[2], &length);
  if ((uint64_t)offset + length > instance->pool_length) return give_int(env, -EINVAL);
  ssize_t result = raw_read(arg_int(env, argv[0]), instance->pool + offset, length);
  if (result > 0) instance->counters->bytes_in += (double)result;
  return give_call(env, instance, result);
}
static napi_value give_moved(napi_env env, struct instance *instance, ssize_t result) {
  if (result > 0) instance->counters->bytes_within += (double)result;
  return give_call(env, instance, result);
}
static napi_value call_sendfile(napi_env env, napi_callback_info info) { /* out, in, count; from in's own offset */
  ARGUMENTS(3);
  return give_moved(env, instance, sendfile(arg_int(env, argv[0]), arg_int(env, argv[1]), NULL, (size_t)arg_int64(env, argv[2])));
}
static napi_value call_splice(napi_env env, napi_callback_info info) { /* in, out, count, flags; one of them a pipe */
  ARGUMENTS(4);
  return give_moved(env, instance, splice(arg_int(env, argv[0]), NULL, arg_int(env, argv[1]), NULL, (size_t)arg_int64(env, argv[2]), (unsigned)arg_int(env, argv[3])));
}
static napi_value call_copy_file_range(napi_env env, napi_callback_info info) { /* in, out, count */
  ARGUMENTS(3);
  return give_moved(env, instance, copy_file_range(arg_int(env, argv[0]), NULL, arg_int(env, argv[1]), NULL, (size_t)arg_int64(env, argv[2]), 0));
}

void export_transfer(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"read", call_read}, {"write", call_write}, {"sendfile", call_sendfile}, {"splice", call_splice},
    {"writeWhole", call_write_whole}, {"usePool", call_use_pool}, {"readPooled", call_read_pooled},
    {"copyFileRange", call_copy_file_range},
  };
  static const struct constant constants[] = {{"SPLICE_F_MOVE", SPLICE_F_MOVE}, {"SPLICE_F_NONBLOCK", SPLICE_F_NONBLOCK}, {"SPLICE_F_MORE", SPLICE_F_MORE}};
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

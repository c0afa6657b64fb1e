/* POSIX message queues, mq_overview(7): mq_open(2), mq_unlink(2), mq_timedsend(2), mq_timedreceive(2), mq_getattr(3).
 *
 * By syscall(2): the C library's wrappers are cancellation points, which cost a program with threads two atomic operations a
 * call, and were a library of their own (librt) until glibc 2.34. The kernel takes a name without its slash. */
#include "vecino.h"
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Messages land as the buffer pool's other readers want them: a double (here the priority), then the content. */
enum { HEADER = sizeof(double) };

static napi_value call_mq_open(napi_env env, napi_callback_info info) { /* name, flags, mode, most messages, bytes of each */
  ARGUMENTS(5);
  char name[NAME_MAX + 1];
  struct mq_attr attributes = {.mq_maxmsg = (long)arg_int64(env, argv[3]), .mq_msgsize = (long)arg_int64(env, argv[4])};
  if (!arg_text(env, argv[0], name, sizeof name)) return give_int(env, -ENAMETOOLONG);
  return give_descriptor(env, instance, syscall(SYS_mq_open, name, arg_int(env, argv[1]) | O_CLOEXEC, (mode_t)arg_int(env, argv[2]), &attributes));
}
static napi_value call_mq_unlink(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  char name[NAME_MAX + 1];
  if (!arg_text(env, argv[0], name, sizeof name)) return give_int(env, -ENAMETOOLONG);
  return give_call(env, instance, syscall(SYS_mq_unlink, name));
}
static napi_value call_mq_getattr(napi_env env, napi_callback_info info) { /* fd, Float64Array of 3 */
  ARGUMENTS(2);
  struct mq_attr attributes;
  struct bytes out = arg_bytes(env, argv[1]);
  if (out.length < 3 * sizeof(double)) return give_int(env, -EINVAL);
  long result = syscall(SYS_mq_getsetattr, arg_int(env, argv[0]), NULL, &attributes);
  if (result == 0) {
    double *field = (double *)(void *)out.data;
    field[0] = (double)attributes.mq_maxmsg, field[1] = (double)attributes.mq_msgsize, field[2] = (double)attributes.mq_curmsgs;
  }
  return give_call(env, instance, result);
}
/* Neither takes a time: that of the kernel is CLOCK_REALTIME's, which can be set back, and a wait with it. */
static napi_value call_mq_send(napi_env env, napi_callback_info info) { /* fd, typed array, priority */
  ARGUMENTS(3);
  void *data;
  size_t length;
  uint32_t priority = UINT32_MAX;
  napi_get_value_uint32(env, argv[2], &priority);
  if (napi_get_typedarray_info(env, argv[1], NULL, &length, &data, NULL, NULL) != napi_ok) return give_int(env, -EINVAL);
  long result = syscall(SYS_mq_timedsend, arg_int(env, argv[0]), data, length, priority, NULL);
  if (result == 0) instance->counters->bytes_out += (double)length;
  return give_call(env, instance, result);
}
static ssize_t receive(struct instance *instance, int fd, uint8_t *at, size_t size) {
  unsigned priority = 0;
  ssize_t result = syscall(SYS_mq_timedreceive, fd, at + HEADER, size, &priority, NULL);
  if (result >= 0) {
    *(double *)(void *)at = priority;
    instance->counters->bytes_in += (double)result;
  }
  return result;
}
static napi_value call_mq_receive_pooled(napi_env env, napi_callback_info info) { /* fd, offset (of the header), size of the content */
  ARGUMENTS(3);
  uint32_t offset = UINT32_MAX, size = 0;
  napi_get_value_uint32(env, argv[1], &offset);
  napi_get_value_uint32(env, argv[2], &size);
  if (offset % HEADER != 0 || (uint64_t)offset + HEADER + size > instance->pool_length) return give_int(env, -EINVAL);
  return give_call(env, instance, receive(instance, arg_int(env, argv[0]), instance->pool + offset, size));
}
static napi_value call_mq_receive(napi_env env, napi_callback_info info) { /* fd, Uint8Array: header and content */
  ARGUMENTS(2);
  struct bytes bytes = arg_bytes(env, argv[1]);
  if (bytes.length < HEADER || (uintptr_t)bytes.data % HEADER != 0) return give_int(env, -EINVAL);
  return give_call(env, instance, receive(instance, arg_int(env, argv[0]), bytes.data, bytes.length - HEADER));
}

void export_mqueue(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"mqOpen", call_mq_open}, {"mqUnlink", call_mq_unlink}, {"mqGetattr", call_mq_getattr}, {"mqSend", call_mq_send},
    {"mqReceive", call_mq_receive}, {"mqReceivePooled", call_mq_receive_pooled},
  };
  EXPORT_METHODS(methods);
}

/* send(2), sendmsg(2) and recvmsg(2), with descriptors (SCM_RIGHTS, unix(7)). */
#include "vecino.h"
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DESCRIPTORS = 253 }; /* SCM_MAX_FD: the kernel takes no more in one message */
union control { /* aligned for a cmsghdr, cmsg(3) */
  char space[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
  struct cmsghdr header;
};

/* To the kernel by syscall(2), as read and write in transfer.c and for the same reason. */
static ssize_t raw_send(int fd, const void *data, size_t length, int flags) {
  return syscall(SYS_sendto, fd, data, length, flags | MSG_NOSIGNAL, NULL, 0);
}
static ssize_t raw_recvmsg(int fd, struct msghdr *message, int flags) {
  return syscall(SYS_recvmsg, fd, message, flags | MSG_CMSG_CLOEXEC);
}

static napi_value call_send(napi_env env, napi_callback_info info) { /* fd, view, offset, length, flags */
  ARGUMENTS(5);
  struct bytes bytes;
  if (!arg_slice(env, argv[1], argv[2], argv[3], &bytes)) return give_int(env, -EINVAL);
  ssize_t result = raw_send(arg_int(env, argv[0]), bytes.data, bytes.length, arg_int(env, argv[4]));
  if (result > 0) instance->counters->bytes_out += (double)result;
  return give_call(env, instance, result);
}
/* The hot form: a whole typed array. */
static napi_value call_send_whole(napi_env env, napi_callback_info info) { /* fd, typed array, flags */
  ARGUMENTS(3);
  void *data;
  size_t length;
  if (napi_get_typedarray_info(env, argv[1], NULL, &length, &data, NULL, NULL) != napi_ok) return give_int(env, -EINVAL);
  ssize_t result = raw_send(arg_int(env, argv[0]), data, length, arg_int(env, argv[2]));
  if (result > 0) instance->counters->bytes_out += (double)result;
  return give_call(env, instance, result);
}
/* fd, view, offset, length, Int32Array of descriptors, flags, address of the receiver (or nothing) */
static napi_value call_sendmsg(napi_env env, napi_callback_info info) {
  ARGUMENTS(7);
  struct bytes bytes, descriptors = arg_bytes(env, argv[4]), address = arg_bytes(env, argv[6]);
  if (!arg_slice(env, argv[1], argv[2], argv[3], &bytes)) return give_int(env, -EINVAL);
  if (descriptors.length > DESCRIPTORS * sizeof(int)) return give_int(env, -E2BIG);
  struct iovec part = {bytes.data, bytes.length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = address.data, .msg_namelen = (socklen_t)address.length};
  union control control;
  if (descriptors.length > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(descriptors.length);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.length);
    memcpy(CMSG_DATA(header), descriptors.data, descriptors.length);
  }
  ssize_t result = sendmsg(arg_int(env, argv[0]), &message, arg_int(env, argv[5]) | MSG_NOSIGNAL);
  if (result > 0) instance->counters->bytes_out += (double)result;
  return give_call(env, instance, result);
}
/* Copies the descriptors of a received message to `given`, which has room for `most`; those beyond are closed. Their number.
 * One that cannot be noted as ours is closed, and told of as the kernel tells of one that it had no room for. */
static int take_descriptors(struct instance *instance, struct msghdr *message, int *given, size_t most) {
  size_t count = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t arrived = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < arrived; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      if (count < most && descriptor_own(instance, fd) >= 0) given[count++] = fd;
      else {
        close(fd);
        message->msg_flags |= MSG_CTRUNC;
      }
    }
  }
  return (int)count;
}
/* fd, view, offset, length, Int32Array that receives [message flags, count, descriptors ...], flags.
 * Descriptors for which there is no room are closed by the kernel, which then sets MSG_CTRUNC. */
static napi_value call_recvmsg(napi_env env, napi_callback_info info) {
  ARGUMENTS(6);
  struct bytes bytes, out = arg_bytes(env, argv[4]);
  if (!arg_slice(env, argv[1], argv[2], argv[3], &bytes) || out.length < 2 * sizeof(int)) return give_int(env, -EINVAL);
  size_t room = out.length / sizeof(int) - 2;
  union control control;
  struct iovec part = {bytes.data, bytes.length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (room > 0) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_LEN((room < DESCRIPTORS ? room : DESCRIPTORS) * sizeof(int)); /* not SPACE: its padding would take one more */
  }
  int *given = (int *)(void *)out.data;
  given[0] = given[1] = 0;
  ssize_t result = raw_recvmsg(arg_int(env, argv[0]), &message, arg_int(env, argv[5]));
  if (result >= 0) {
    given[1] = take_descriptors(instance, &message, given + 2, room);
    given[0] = message.msg_flags;
    instance->counters->bytes_in += (double)result;
  }
  return give_call(env, instance, result);
}

/* What a message brings besides its bytes. system/receive.ts reads it as an Int32Array, in this order. */
struct envelope {
  int32_t flags;       /* MSG_CTRUNC, MSG_TRUNC */
  int32_t descriptors; /* how many */
  int32_t ancillary;   /* bytes of ancillary data of any kind: 0 at the end of a seqpacket connection, never for a message */
  int32_t name_length;
  int32_t descriptor[DESCRIPTORS];
  int32_t padding;
  uint8_t name[128];
};
static napi_value call_use_envelope(napi_env env, napi_callback_info info) { /* the envelope, the overflow; the caller keeps both alive */
  ARGUMENTS(2);
  struct bytes envelope = arg_bytes(env, argv[0]), overflow = arg_bytes(env, argv[1]);
  if (envelope.length < sizeof(struct envelope)) return give_int(env, -EINVAL);
  instance->envelope = (struct envelope *)(void *)envelope.data;
  instance->overflow = overflow.data;
  instance->overflow_length = overflow.length;
  return give_int(env, 0);
}
/* Into the buffer pool (transfer.c); what of a message does not fit there goes on in the overflow: the kernel would throw it away. */
enum { STREAM, MESSAGE, MESSAGE_WITH_NAME };
static napi_value call_receive_pooled(napi_env env, napi_callback_info info) { /* fd, offset, length, flags, one of the above */
  ARGUMENTS(5);
  uint32_t offset = 0, length = 0, kind = STREAM;
  napi_get_value_uint32(env, argv[1], &offset);
  napi_get_value_uint32(env, argv[2], &length);
  napi_get_value_uint32(env, argv[4], &kind);
  struct envelope *envelope = instance->envelope;
  if ((uint64_t)offset + length > instance->pool_length || envelope == NULL) return give_int(env, -EINVAL);
  union { /* room for a time stamp, credentials and a security label beside the descriptors: MSG_CTRUNC then means lost descriptors */
    char space[CMSG_SPACE(DESCRIPTORS * sizeof(int)) + 1024];
    struct cmsghdr header;
  } control;
  struct iovec parts[2] = {{instance->pool + offset, length}, {instance->overflow, instance->overflow_length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = kind == STREAM ? 1 : 2, .msg_control = &control, .msg_controllen = sizeof control};
  if (kind == MESSAGE_WITH_NAME) message.msg_name = envelope->name, message.msg_namelen = sizeof envelope->name;
  ssize_t result = raw_recvmsg(arg_int(env, argv[0]), &message, arg_int(env, argv[3]));
  if (result >= 0) {
    envelope->ancillary = (int32_t)message.msg_controllen;
    envelope->name_length = (int32_t)message.msg_namelen;
    envelope->descriptors = message.msg_controllen == 0 ? 0 : take_descriptors(instance, &message, envelope->descriptor, DESCRIPTORS);
    envelope->flags = message.msg_flags;
    instance->counters->bytes_in += (double)result;
  }
  return give_call(env, instance, result);
}

void export_socket_message(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"send", call_send}, {"sendWhole", call_send_whole}, {"sendmsg", call_sendmsg}, {"recvmsg", call_recvmsg},
    {"useEnvelope", call_use_envelope}, {"receivePooled", call_receive_pooled},
  };
  static const struct constant constants[] = {
    {"MSG_CTRUNC", MSG_CTRUNC}, {"MSG_TRUNC", MSG_TRUNC}, {"MSG_DONTWAIT", MSG_DONTWAIT}, {"MSG_PEEK", MSG_PEEK},
    {"sizeof_envelope", sizeof(struct envelope)}, {"offsetof_envelope_name", offsetof(struct envelope, name)},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

/* socketpair(2), sendmsg(2) and recvmsg(2) with descriptors (SCM_RIGHTS, unix(7)). */
#include "vecino.h"
#include <string.h>
#include <sys/socket.h>

enum { DESCRIPTORS = 253 }; /* SCM_MAX_FD: the kernel takes no more in one message */
union control { /* aligned for a cmsghdr, cmsg(3) */
  char space[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
  struct cmsghdr header;
};

static napi_value call_socketpair(napi_env env, napi_callback_info info) { /* domain, type, Int32Array of 2 */
  ARGUMENTS(3);
  struct bytes out = arg_bytes(env, argv[2]);
  if (out.length < 2 * sizeof(int)) return give_int(env, -EINVAL);
  return give_call(env, instance, socketpair(arg_int(env, argv[0]), arg_int(env, argv[1]), 0, (int *)(void *)out.data));
}
static napi_value call_sendmsg(napi_env env, napi_callback_info info) { /* fd, view, offset, length, Int32Array of descriptors, flags */
  ARGUMENTS(6);
  struct bytes bytes = arg_slice(env, argv[1], argv[2], argv[3]), descriptors = arg_bytes(env, argv[4]);
  if (descriptors.length > DESCRIPTORS * sizeof(int)) return give_int(env, -E2BIG);
  struct iovec part = {bytes.data, bytes.length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
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
  if (result > 0) instance->tally->bytes_out += (double)result;
  return give_call(env, instance, result);
}
/* fd, view, offset, length, Int32Array that receives [message flags, count, descriptors ...], flags.
 * Descriptors for which there is no room are closed by the kernel, which then sets MSG_CTRUNC. */
static napi_value call_recvmsg(napi_env env, napi_callback_info info) {
  ARGUMENTS(6);
  struct bytes bytes = arg_slice(env, argv[1], argv[2], argv[3]), out = arg_bytes(env, argv[4]);
  if (out.length < 2 * sizeof(int)) return give_int(env, -EINVAL);
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
  ssize_t result = recvmsg(arg_int(env, argv[0]), &message, arg_int(env, argv[5]) | MSG_CMSG_CLOEXEC);
  if (result >= 0) {
    given[0] = message.msg_flags;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      size_t length = header->cmsg_len - CMSG_LEN(0);
      memcpy(given + 2 + given[1], CMSG_DATA(header), length);
      given[1] += (int)(length / sizeof(int));
    }
    instance->tally->bytes_in += (double)result;
  }
  return give_call(env, instance, result);
}

void export_socket(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"socketpair", call_socketpair}, {"sendmsg", call_sendmsg}, {"recvmsg", call_recvmsg}};
  static const struct constant constants[] = {
    {"AF_UNIX", AF_UNIX}, {"SOCK_STREAM", SOCK_STREAM}, {"SOCK_DGRAM", SOCK_DGRAM}, {"SOCK_SEQPACKET", SOCK_SEQPACKET},
    {"SOCK_CLOEXEC", SOCK_CLOEXEC}, {"SOCK_NONBLOCK", SOCK_NONBLOCK}, {"MSG_CTRUNC", MSG_CTRUNC}, {"MSG_TRUNC", MSG_TRUNC},
    {"MSG_DONTWAIT", MSG_DONTWAIT}, {"MSG_PEEK", MSG_PEEK},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

/* socket(2), socketpair(2), bind(2), listen(2), accept4(2), connect(2), getsockname(2), getpeername(2), shutdown(2).
 * An address is bytes: the sockaddr of its family, made in system/address.ts. */
#include "vecino.h"
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

static napi_value call_socket(napi_env env, napi_callback_info info) { /* domain, type; the protocol is the only one they have */
  ARGUMENTS(2);
  return give_descriptor(env, instance, socket(arg_int(env, argv[0]), arg_int(env, argv[1]), 0));
}
static napi_value call_socketpair(napi_env env, napi_callback_info info) { /* domain, type, Int32Array of 2 */
  ARGUMENTS(3);
  struct bytes out = arg_bytes(env, argv[2]);
  if (out.length < 2 * sizeof(int)) return give_int(env, -EINVAL);
  int *pair = (int *)(void *)out.data, result = socketpair(arg_int(env, argv[0]), arg_int(env, argv[1]), 0, pair);
  if (result == 0 && !descriptor_own_pair(instance, pair)) result = -1;
  return give_call(env, instance, result);
}
static napi_value call_bind(napi_env env, napi_callback_info info) { /* fd, address */
  ARGUMENTS(2);
  struct bytes address = arg_bytes(env, argv[1]);
  return give_call(env, instance, bind(arg_int(env, argv[0]), (void *)address.data, (socklen_t)address.length));
}
static napi_value call_connect(napi_env env, napi_callback_info info) { /* fd, address */
  ARGUMENTS(2);
  struct bytes address = arg_bytes(env, argv[1]);
  return give_call(env, instance, connect(arg_int(env, argv[0]), (void *)address.data, (socklen_t)address.length));
}
static napi_value call_listen(napi_env env, napi_callback_info info) { /* fd, backlog */
  ARGUMENTS(2);
  return give_call(env, instance, listen(arg_int(env, argv[0]), arg_int(env, argv[1])));
}
static napi_value call_accept4(napi_env env, napi_callback_info info) { /* fd, flags */
  ARGUMENTS(2);
  return give_descriptor(env, instance, accept4(arg_int(env, argv[0]), NULL, NULL, arg_int(env, argv[1])));
}
/* Into the view; the result is the address's length. */
static napi_value name_of(napi_env env, napi_callback_info info, int (*call)(int, struct sockaddr *, socklen_t *)) {
  ARGUMENTS(2);
  struct bytes out = arg_bytes(env, argv[1]);
  socklen_t length = (socklen_t)out.length;
  int result = call(arg_int(env, argv[0]), (void *)out.data, &length);
  return give_call(env, instance, result < 0 ? result : (long)length);
}
static int get_own(int fd, struct sockaddr *address, socklen_t *length) { return getsockname(fd, address, length); }
static int get_peer(int fd, struct sockaddr *address, socklen_t *length) { return getpeername(fd, address, length); }
static napi_value call_getsockname(napi_env env, napi_callback_info info) { return name_of(env, info, get_own); }
static napi_value call_getpeername(napi_env env, napi_callback_info info) { return name_of(env, info, get_peer); }
static napi_value call_shutdown(napi_env env, napi_callback_info info) { /* fd, SHUT_… */
  ARGUMENTS(2);
  return give_call(env, instance, shutdown(arg_int(env, argv[0]), arg_int(env, argv[1])));
}

static napi_value call_sendto(napi_env env, napi_callback_info info) { /* fd, bytes, flags, address */
  ARGUMENTS(4);
  struct bytes bytes = arg_bytes(env, argv[1]), address = arg_bytes(env, argv[3]);
  ssize_t sent = sendto(arg_int(env, argv[0]), bytes.data, bytes.length, arg_int(env, argv[2]), (struct sockaddr *)address.data, (socklen_t)address.length);
  if (sent > 0) instance->counters->bytes_out += (double)sent;
  return give_call(env, instance, sent);
}

void export_socket(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"socket", call_socket}, {"sendto", call_sendto}, {"socketpair", call_socketpair}, {"bind", call_bind}, {"connect", call_connect}, {"listen", call_listen},
    {"accept4", call_accept4}, {"getsockname", call_getsockname}, {"getpeername", call_getpeername}, {"shutdown", call_shutdown},
  };
  static const struct constant constants[] = {
    {"AF_UNIX", AF_UNIX}, {"AF_INET", AF_INET}, {"AF_INET6", AF_INET6},
    {"SOCK_STREAM", SOCK_STREAM}, {"SOCK_DGRAM", SOCK_DGRAM}, {"SOCK_SEQPACKET", SOCK_SEQPACKET},
    {"SOCK_CLOEXEC", SOCK_CLOEXEC}, {"SOCK_NONBLOCK", SOCK_NONBLOCK},
    {"SHUT_RD", SHUT_RD}, {"SHUT_WR", SHUT_WR}, {"SHUT_RDWR", SHUT_RDWR}, {"SOMAXCONN", SOMAXCONN},
    {"sizeof_sun_path", sizeof ((struct sockaddr_un *)0)->sun_path},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

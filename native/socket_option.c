/* getsockopt(2), setsockopt(2): the options that are an int, and the peer's credentials (unix(7)). */
#include "vecino.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static napi_value call_getsockopt(napi_env env, napi_callback_info info) { /* fd, level, option, Int32Array of 1 */
  ARGUMENTS(4);
  struct bytes out = arg_bytes(env, argv[3]);
  socklen_t length = sizeof(int);
  if (out.length < sizeof(int)) return give_int(env, -EINVAL);
  return give_call(env, instance, getsockopt(arg_int(env, argv[0]), arg_int(env, argv[1]), arg_int(env, argv[2]), out.data, &length));
}
static napi_value call_setsockopt(napi_env env, napi_callback_info info) { /* fd, level, option, value */
  ARGUMENTS(4);
  int value = arg_int(env, argv[3]);
  return give_call(env, instance, setsockopt(arg_int(env, argv[0]), arg_int(env, argv[1]), arg_int(env, argv[2]), &value, sizeof value));
}
static napi_value call_peer_credentials(napi_env env, napi_callback_info info) { /* fd, Float64Array of 3: pid, uid, gid */
  ARGUMENTS(2);
  struct bytes out = arg_bytes(env, argv[1]);
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  if (out.length < 3 * sizeof(double)) return give_int(env, -EINVAL);
  int result = getsockopt(arg_int(env, argv[0]), SOL_SOCKET, SO_PEERCRED, &credentials, &length);
  if (result == 0) {
    double *field = (double *)(void *)out.data;
    field[0] = credentials.pid, field[1] = credentials.uid, field[2] = credentials.gid;
  }
  return give_call(env, instance, result);
}

void export_socket_option(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"getsockopt", call_getsockopt}, {"setsockopt", call_setsockopt}, {"peerCredentials", call_peer_credentials},
  };
  static const struct constant constants[] = {
    {"SOL_SOCKET", SOL_SOCKET}, {"SO_ERROR", SO_ERROR}, {"SO_SNDBUF", SO_SNDBUF}, {"SO_RCVBUF", SO_RCVBUF}, {"SO_TYPE", SO_TYPE},
    {"SO_DOMAIN", SO_DOMAIN}, {"SO_REUSEADDR", SO_REUSEADDR}, {"SO_KEEPALIVE", SO_KEEPALIVE}, {"SO_TIMESTAMP", SO_TIMESTAMP},
    {"SO_ACCEPTCONN", SO_ACCEPTCONN},
    {"IPPROTO_TCP", IPPROTO_TCP}, {"TCP_NODELAY", TCP_NODELAY}, {"IPPROTO_IPV6", IPPROTO_IPV6}, {"IPV6_V6ONLY", IPV6_V6ONLY},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

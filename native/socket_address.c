/* Numeric IPv4 and IPv6 addresses, to and from their sockaddr: getaddrinfo(3) and getnameinfo(3), which ask nobody here. */
#include "vecino.h"
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static napi_value call_numeric_address(napi_env env, napi_callback_info info) { /* host, port, view: the sockaddr's length */
  ARGUMENTS(3);
  char host[256], port[16];
  struct bytes out = arg_bytes(env, argv[2]);
  if (!arg_text(env, argv[0], host, sizeof host)) return give_int(env, -EINVAL);
  snprintf(port, sizeof port, "%d", arg_int(env, argv[1]));
  struct addrinfo wanted = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found = NULL;
  if (getaddrinfo(host, port, &wanted, &found) != 0) return give_int(env, -EINVAL);
  int length = found->ai_addrlen <= out.length ? (int)found->ai_addrlen : -EINVAL;
  if (length > 0) memcpy(out.data, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return give_int(env, length);
}
static napi_value call_address_text(napi_env env, napi_callback_info info) { /* sockaddr: its host as text, or an errno */
  ARGUMENTS(1);
  char host[NI_MAXHOST];
  struct bytes address = arg_bytes(env, argv[0]);
  if (getnameinfo((void *)address.data, (socklen_t)address.length, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0) return give_int(env, -EINVAL);
  napi_value result = NULL;
  napi_create_string_utf8(env, host, NAPI_AUTO_LENGTH, &result);
  return result;
}

void export_socket_address(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"numericAddress", call_numeric_address}, {"addressText", call_address_text}};
  EXPORT_METHODS(methods);
}

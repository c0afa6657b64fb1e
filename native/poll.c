/* poll(2), as ppoll for its finer clock. */
#include "vecino.h"
#include <poll.h>

static napi_value call_poll(napi_env env, napi_callback_info info) { /* a view of struct pollfd (see pollfd(3type)), milliseconds */
  ARGUMENTS(2);
  struct timespec spec;
  struct bytes bytes = arg_bytes(env, argv[0]);
  if ((uintptr_t)bytes.data % _Alignof(struct pollfd) != 0) return give_int(env, -EINVAL);
  return give_call(env, instance, ppoll((struct pollfd *)(void *)bytes.data, bytes.length / sizeof(struct pollfd), arg_timeout(env, argv[1], &spec), NULL));
}
static napi_value call_poll_one(napi_env env, napi_callback_info info) { /* fd, events, milliseconds: revents, 0 when time ran out */
  ARGUMENTS(3);
  struct timespec spec;
  struct pollfd entry = {.fd = arg_int(env, argv[0]), .events = (short)arg_int(env, argv[1])};
  int result = ppoll(&entry, 1, arg_timeout(env, argv[2], &spec), NULL);
  return give_call(env, instance, result > 0 ? entry.revents : result);
}

void export_poll(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"poll", call_poll}, {"pollOne", call_poll_one}};
  static const struct constant constants[] = {
    {"POLLIN", POLLIN}, {"POLLOUT", POLLOUT}, {"POLLPRI", POLLPRI}, {"POLLERR", POLLERR}, {"POLLHUP", POLLHUP}, {"POLLNVAL", POLLNVAL}, {"POLLRDHUP", POLLRDHUP},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

/* epoll_create1(2), epoll_ctl(2), epoll_wait(2). What a descriptor was registered with is its own number. */
#include "vecino.h"
#include <sys/epoll.h>

static napi_value call_epoll_create(napi_env env, napi_callback_info info) { /* flags */
  ARGUMENTS(1);
  return give_descriptor(env, instance, epoll_create1(arg_int(env, argv[0])));
}
static napi_value call_epoll_ctl(napi_env env, napi_callback_info info) { /* epoll, operation, fd, events */
  ARGUMENTS(4);
  int fd = arg_int(env, argv[2]);
  struct epoll_event event = {.events = (uint32_t)arg_int64(env, argv[3]), .data.fd = fd};
  return give_call(env, instance, epoll_ctl(arg_int(env, argv[0]), arg_int(env, argv[1]), fd, &event));
}
static napi_value call_epoll_wait(napi_env env, napi_callback_info info) { /* epoll, a view, most events, milliseconds: pairs of fd and events */
  ARGUMENTS(4);
  struct bytes bytes = arg_bytes(env, argv[1]);
  struct epoll_event *events = (struct epoll_event *)(void *)bytes.data;
  int32_t *pairs = (int32_t *)(void *)bytes.data;
  int most = arg_int(env, argv[2]);
  double milliseconds = arg_double(env, argv[3]);
  if ((uintptr_t)bytes.data % _Alignof(struct epoll_event) != 0 || (uintptr_t)bytes.data % 4 != 0) return give_int(env, -EINVAL);
  if (most < 0 || (size_t)most > bytes.length / sizeof *events) return give_int(env, -EINVAL);
  int timeout = !(milliseconds >= 0) ? -1 : milliseconds >= INT32_MAX ? INT32_MAX : (int)milliseconds;
  if (timeout >= 0 && timeout < INT32_MAX && timeout < milliseconds) timeout++; /* rounded up, so as not to come back too early */
  int count = epoll_wait(arg_int(env, argv[0]), events, most, timeout);
  for (int i = 0; i < count; i++) { /* in place: a pair is no longer than an event, so it never reaches one that is still to be read */
    struct epoll_event event = events[i];
    pairs[2 * i] = event.data.fd;
    pairs[2 * i + 1] = (int32_t)event.events;
  }
  return give_call(env, instance, count);
}

void export_epoll(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"epollCreate", call_epoll_create}, {"epollCtl", call_epoll_ctl}, {"epollWait", call_epoll_wait}};
  static const struct constant constants[] = {
    {"EPOLL_CLOEXEC", EPOLL_CLOEXEC}, {"EPOLL_CTL_ADD", EPOLL_CTL_ADD}, {"EPOLL_CTL_MOD", EPOLL_CTL_MOD}, {"EPOLL_CTL_DEL", EPOLL_CTL_DEL},
    {"EPOLLIN", EPOLLIN}, {"EPOLLPRI", EPOLLPRI}, {"EPOLLOUT", EPOLLOUT}, {"EPOLLERR", EPOLLERR}, {"EPOLLHUP", EPOLLHUP},
    {"EPOLLRDHUP", EPOLLRDHUP}, {"EPOLLET", EPOLLET}, {"EPOLLONESHOT", EPOLLONESHOT}, {"EPOLLEXCLUSIVE", EPOLLEXCLUSIVE},
    {"SIZEOF_EPOLL_EVENT", sizeof(struct epoll_event)},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

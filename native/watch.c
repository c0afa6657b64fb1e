/* Readiness of a descriptor in the event loop: libuv's uv_poll. No thread waits, and many wake-ups cost one epoll_wait.
 *
 * A watch owns its uv_poll_t until libuv has closed it. TypeScript holds a bare pointer and drops it at watchClose. */
#include "vecino.h"
#include <stdlib.h>
#include <uv.h>

struct watch {
  uv_poll_t poll; /* first: a handle is cast back to its watch */
  struct instance *instance;
  struct watch *next, **link;
  napi_ref callback;
};

static void on_closed(uv_handle_t *handle) {
  struct watch *watch = (struct watch *)(void *)handle;
  struct instance *instance = watch->instance;
  instance->closing--;
  free(watch);
  instance_release(instance);
}
static void watch_close(struct watch *watch) {
  *watch->link = watch->next;
  if (watch->next != NULL) watch->next->link = watch->link;
  watch->instance->closing++;
  if (watch->callback != NULL) napi_delete_reference(watch->instance->env, watch->callback);
  uv_close((uv_handle_t *)&watch->poll, on_closed);
}
void watch_close_all(struct instance *instance) {
  while (instance->watches != NULL) watch_close(instance->watches);
}

static void on_ready(uv_poll_t *handle, int status, int events) {
  struct watch *watch = (struct watch *)(void *)handle;
  napi_env env = watch->instance->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, global, result, arguments[2] = {give_int(env, status), give_int(env, events)};
  napi_get_reference_value(env, watch->callback, &callback);
  napi_get_global(env, &global);
  if (napi_make_callback(env, NULL, global, callback, 2, arguments, &result) == napi_pending_exception) {
    napi_value error = NULL;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static napi_value call_watch_open(napi_env env, napi_callback_info info) { /* fd, callback(status, events) */
  ARGUMENTS(2);
  uv_loop_t *loop;
  struct watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok) {
    free(watch);
    return give_int(env, -ENOMEM);
  }
  int error = uv_poll_init(loop, &watch->poll, arg_int(env, argv[0]));
  if (error != 0) { /* EEXIST: the loop polls this descriptor already; EPERM: it cannot be polled (a regular file) */
    free(watch);
    return give_int(env, error);
  }
  watch->instance = instance;
  watch->next = instance->watches;
  watch->link = &instance->watches;
  if (watch->next != NULL) watch->next->link = &watch->next;
  instance->watches = watch;
  napi_value handle = NULL;
  /* They fail in a worker that is being terminated: JavaScript still runs to its next call, and would be given nothing for a value. */
  if (napi_create_reference(env, argv[1], 1, &watch->callback) == napi_ok && napi_create_external(env, watch, NULL, NULL, &handle) == napi_ok) return handle;
  watch_close(watch);
  return give_int(env, -ECANCELED);
}

#define WATCH(argument)                                                     \
  void *pointer = NULL;                                                     \
  if (napi_get_value_external(env, argument, &pointer) != napi_ok) return give_int(env, -EINVAL); \
  struct watch *watch = pointer

static napi_value call_watch_start(napi_env env, napi_callback_info info) { /* watch, events */
  ARGUMENTS(2);
  WATCH(argv[0]);
  return give_int(env, uv_poll_start(&watch->poll, arg_int(env, argv[1]), on_ready));
}
static napi_value call_watch_stop(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  WATCH(argv[0]);
  return give_int(env, uv_poll_stop(&watch->poll));
}
static napi_value call_watch_keep_alive(napi_env env, napi_callback_info info) { /* watch, whether it keeps the loop running */
  ARGUMENTS(2);
  WATCH(argv[0]);
  bool keep = false;
  napi_get_value_bool(env, argv[1], &keep);
  if (keep) uv_ref((uv_handle_t *)&watch->poll);
  else uv_unref((uv_handle_t *)&watch->poll);
  return give_int(env, 0);
}
static napi_value call_watch_close(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  WATCH(argv[0]);
  watch_close(watch);
  return give_int(env, 0);
}

void export_watch(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"watchOpen", call_watch_open}, {"watchStart", call_watch_start}, {"watchStop", call_watch_stop},
    {"watchKeepAlive", call_watch_keep_alive}, {"watchClose", call_watch_close},
  };
  static const struct constant constants[] = {
    {"UV_READABLE", UV_READABLE}, {"UV_WRITABLE", UV_WRITABLE}, {"UV_DISCONNECT", UV_DISCONNECT}, {"UV_PRIORITIZED", UV_PRIORITIZED},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

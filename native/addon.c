/* The addon's entry: one instance for each environment, released when that environment ends. */
#include "vecino.h"
#include <stdlib.h>
#include <string.h>

static void tear_down(napi_async_cleanup_hook_handle handle, void *data) {
  struct instance *instance = data;
  instance->closing++; /* held until every handle has been asked to close */
  instance->ending = true;
  helper_discard_all(instance);
  watch_close_all(instance);
  listener_forget(instance);
  ring_close(instance); /* after the watches of their descriptors */
  waiter_close(instance);
  descriptor_close_all(instance); /* after all that works on them */
  locks_abandon(instance);
  mappings_forget(instance);
  instance->closing--;
  instance_release(instance);
}

static napi_value nothing(napi_env env, napi_callback_info info) { return NULL; } /* what a call costs: see bench/ */

NAPI_MODULE_INIT() {
  struct instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) {
    napi_throw_error(env, "ENOMEM", "vecino: no memory for the addon's state");
    return NULL;
  }
  instance->env = env;
  napi_value buffer = NULL, constants = NULL;
  void *counters;
  if (napi_create_arraybuffer(env, sizeof(struct counters), &counters, &buffer) != napi_ok) { /* a worker that is being terminated */
    free(instance);
    return NULL;
  }
  memset(counters, 0, sizeof(struct counters));
  instance->counters = counters;
  napi_ref keep; /* for as long as the environment lives */
  napi_create_reference(env, buffer, 1, &keep);
  napi_set_named_property(env, exports, "counters", buffer);
  napi_create_object(env, &constants);
  napi_set_named_property(env, exports, "constants", constants);
  static const struct method methods[] = {{"nothing", nothing}};
  EXPORT_METHODS(methods);
#define EXPORT(module) export_##module(env, exports, instance);
  MODULES(EXPORT)
  napi_add_async_cleanup_hook(env, tear_down, instance, &instance->teardown);
  return exports;
}

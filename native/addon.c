/* The addon's entry: one instance for each environment, released when that environment ends. */
#include "vecino.h"
#include <stdlib.h>
#include <string.h>

bool arg_text(napi_env env, napi_value value, char *buffer, size_t size) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok || length >= size) return false;
  napi_get_value_string_utf8(env, value, buffer, size, &length);
  return memchr(buffer, 0, length) == NULL;
}

void export_methods(napi_env env, napi_value exports, struct instance *instance, const struct method *list, size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_value function;
    napi_create_function(env, list[i].name, NAPI_AUTO_LENGTH, list[i].callback, instance, &function);
    napi_set_named_property(env, exports, list[i].name, function);
  }
}

void export_constants(napi_env env, napi_value exports, const struct constant *list, size_t count) {
  napi_value constants;
  napi_get_named_property(env, exports, "constants", &constants);
  for (size_t i = 0; i < count; i++) napi_set_named_property(env, constants, list[i].name, give_double(env, list[i].value));
}

void instance_release(struct instance *instance) {
  if (!instance->ending || instance->closing != 0) return; /* the last libuv handle to close calls again */
  napi_remove_async_cleanup_hook(instance->teardown);
  free(instance);
}

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
  void *tally;
  if (napi_create_arraybuffer(env, sizeof(struct tally), &tally, &buffer) != napi_ok) { /* a worker that is being terminated */
    free(instance);
    return NULL;
  }
  memset(tally, 0, sizeof(struct tally));
  instance->tally = tally;
  napi_ref keep; /* for as long as the environment lives */
  napi_create_reference(env, buffer, 1, &keep);
  napi_set_named_property(env, exports, "tally", buffer);
  napi_create_object(env, &constants);
  napi_set_named_property(env, exports, "constants", constants);
  static const struct method methods[] = {{"nothing", nothing}};
  EXPORT_METHODS(methods);
#define EXPORT(module) export_##module(env, exports, instance);
  MODULES(EXPORT)
  napi_add_async_cleanup_hook(env, tear_down, instance, &instance->teardown);
  return exports;
}

/* What every file of the addon uses: texts among the arguments, exports, and the end of an environment. */
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

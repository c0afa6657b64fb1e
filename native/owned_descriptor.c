/* A descriptor that is closed when its owner is collected or its environment ends. A worker that is terminated would
 * otherwise leave its locks and addresses for as long as the process lives. */
#include "vecino.h"
#include <stdlib.h>
#include <unistd.h>

static void close_owned(napi_env env, void *data, void *hint) {
  int *fd = data;
  if (*fd >= 0) close(*fd);
  free(fd);
}
static napi_value call_own(napi_env env, napi_callback_info info) { /* fd: its owner */
  ARGUMENTS(1);
  napi_value owner;
  int *fd = malloc(sizeof *fd);
  if (fd == NULL) return give_int(env, -ENOMEM);
  *fd = arg_int(env, argv[0]);
  if (napi_create_external(env, fd, close_owned, NULL, &owner) == napi_ok) return owner;
  free(fd);
  return give_int(env, -ENOMEM);
}
static napi_value call_close_owned(napi_env env, napi_callback_info info) { /* owner */
  ARGUMENTS(1);
  void *data = NULL;
  if (napi_get_value_external(env, argv[0], &data) != napi_ok) return give_int(env, -EINVAL);
  int *fd = data, number = *fd;
  *fd = -1;
  return give_call(env, instance, close(number));
}
static napi_value call_disown(napi_env env, napi_callback_info info) { /* owner: the descriptor, open, and nobody's */
  ARGUMENTS(1);
  void *data = NULL;
  if (napi_get_value_external(env, argv[0], &data) != napi_ok) return give_int(env, -EINVAL);
  int *fd = data, number = *fd;
  *fd = -1;
  return give_int(env, number);
}

void export_owned_descriptor(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"own", call_own}, {"closeOwned", call_close_owned}, {"disown", call_disown}};
  EXPORT_METHODS(methods);
}

/* select(2), as pselect for its finer clock. */
#include "vecino.h"
#include <sys/select.h>

/* The three sets, one after the other, as the kernel lays them out: FD_SETSIZE bits each. Nothing outside of them is ever
 * touched, because the count is bounded by what they hold. */
static napi_value call_select(napi_env env, napi_callback_info info) { /* highest descriptor + 1, a view of 3 fd_sets, milliseconds */
  ARGUMENTS(3);
  struct timespec spec;
  struct bytes bytes = arg_bytes(env, argv[1]);
  int count = arg_int(env, argv[0]);
  fd_set *sets = (fd_set *)(void *)bytes.data;
  if (bytes.length != 3 * sizeof(fd_set) || (uintptr_t)bytes.data % _Alignof(fd_set) != 0 || count < 0 || count > FD_SETSIZE)
    return give_int(env, -EINVAL);
  return give_call(env, instance, pselect(count, &sets[0], &sets[1], &sets[2], arg_timeout(env, argv[2], &spec), NULL));
}

void export_select(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"select", call_select}};
  static const struct constant constants[] = {{"FD_SETSIZE", FD_SETSIZE}};
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

/* inotify(7): what happens to files. */
#include "vecino.h"
#include <limits.h>
#include <sys/inotify.h>

static napi_value call_inotify_init(napi_env env, napi_callback_info info) { /* flags */
  ARGUMENTS(1);
  return give_descriptor(env, instance, inotify_init1(arg_int(env, argv[0])));
}
static napi_value call_inotify_add_watch(napi_env env, napi_callback_info info) { /* fd, path, mask */
  ARGUMENTS(3);
  char path[PATH_MAX];
  if (!arg_text(env, argv[1], path, sizeof path)) return give_int(env, -EINVAL);
  return give_call(env, instance, inotify_add_watch(arg_int(env, argv[0]), path, (uint32_t)arg_int64(env, argv[2])));
}
static napi_value call_inotify_rm_watch(napi_env env, napi_callback_info info) { /* fd, watch */
  ARGUMENTS(2);
  return give_call(env, instance, inotify_rm_watch(arg_int(env, argv[0]), arg_int(env, argv[1])));
}

void export_inotify(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"inotifyInit", call_inotify_init}, {"inotifyAddWatch", call_inotify_add_watch}, {"inotifyRmWatch", call_inotify_rm_watch},
  };
  static const struct constant constants[] = {{"IN_CLOEXEC", IN_CLOEXEC}, {"IN_NONBLOCK", IN_NONBLOCK}, {"IN_CLOSE_WRITE", IN_CLOSE_WRITE}, {"IN_ATTRIB", IN_ATTRIB}, {"IN_CREATE", IN_CREATE}, {"IN_DELETE", IN_DELETE}, {"IN_MOVED_TO", IN_MOVED_TO}};
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

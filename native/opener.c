/* open(2) of a FIFO waits for the other side, for ever if need be, and no descriptor exists yet that could be polled. So
 * it runs in a helper thread, see thread.c; no descriptor is lost when that is cancelled. */
#include "thread.h"
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

struct opener {
  struct helper helper; /* first: a helper is cast back to its opener */
  int flags;
  int result;           /* descriptor, or errno negated */
  char path[PATH_MAX];
};

static void open_path(struct helper *helper) {
  struct opener *opener = (struct opener *)helper;
  do opener->result = open(opener->path, opener->flags);
  while (helper_again(helper, opener->result));
  if (opener->result < 0) opener->result = -errno;
}
static void discard(struct helper *helper) {
  struct opener *opener = (struct opener *)helper;
  if (opener->result >= 0) close(opener->result);
  free(opener);
}

static napi_value call_opener_start(napi_env env, napi_callback_info info) { /* path, flags: the eventfd */
  ARGUMENTS(2);
  struct opener *opener = calloc(1, sizeof *opener);
  if (opener == NULL) return give_int(env, -ENOMEM);
  int event = -ENAMETOOLONG;
  if (arg_text(env, argv[0], opener->path, sizeof opener->path)) {
    opener->flags = arg_int(env, argv[1]);
    opener->helper.block = open_path;
    opener->helper.discard = discard;
    event = helper_start(instance, &opener->helper);
  }
  if (event < 0) free(opener);
  return give_int(env, event);
}
static napi_value call_opener_finish(napi_env env, napi_callback_info info) { /* eventfd, cancel: the descriptor */
  ARGUMENTS(2);
  bool cancel = false;
  napi_get_value_bool(env, argv[1], &cancel);
  struct opener *opener = (struct opener *)helper_find(instance, arg_int(env, argv[0]), open_path);
  if (opener == NULL) return give_int(env, -EBADF);
  instance->counters->calls++;
  helper_finish(instance, &opener->helper, cancel);
  int result = opener->result;
  free(opener);
  errno = -result;
  return give_descriptor(env, instance, result < 0 ? -1 : result);
}

void export_opener(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"openerStart", call_opener_start}, {"openerFinish", call_opener_finish}};
  EXPORT_METHODS(methods);
}

/* A descriptor that is closed when its owner is collected or its environment ends. A worker that is terminated would
 * otherwise leave its locks and addresses for as long as the process lives. */
#include "vecino.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct owned {
  int fd;
  dev_t device; /* what it was, as far as these tell: a number that somebody closed behind our back may name something else by now */
  ino_t inode;
};
static bool is_same(const struct owned *owned) {
  struct stat now;
  return owned->fd >= 0 && fstat(owned->fd, &now) == 0 && now.st_dev == owned->device && now.st_ino == owned->inode;
}
static void close_owned(napi_env env, void *data, void *hint) {
  struct owned *owned = data;
  /* The standard streams are the program's, whoever has made an object of them. */
  if (owned->fd > STDERR_FILENO && is_same(owned)) close(owned->fd);
  free(owned);
}
static napi_value call_own(napi_env env, napi_callback_info info) { /* fd: its owner */
  ARGUMENTS(1);
  napi_value owner = NULL;
  int fd = arg_int(env, argv[0]);
  struct stat now;
  if (fstat(fd, &now) < 0) return give_int(env, -errno);
  struct owned *owned = malloc(sizeof *owned);
  if (owned == NULL) return give_int(env, -ENOMEM);
  *owned = (struct owned){fd, now.st_dev, now.st_ino};
  if (napi_create_external(env, owned, close_owned, NULL, &owner) == napi_ok) return owner;
  free(owned);
  return give_int(env, -ECANCELED); /* the worker is being terminated */
}
#define OWNED(argument)                                                                               \
  void *pointer = NULL;                                                                               \
  if (napi_get_value_external(env, argument, &pointer) != napi_ok) return give_int(env, -EINVAL); \
  struct owned *owned = pointer
static int take(struct owned *owned) {
  int fd = owned->fd;
  owned->fd = -1;
  return fd;
}
static napi_value call_close_owned(napi_env env, napi_callback_info info) { /* owner */
  ARGUMENTS(1);
  OWNED(argv[0]);
  return give_call(env, instance, close(take(owned)));
}
static napi_value call_disown(napi_env env, napi_callback_info info) { /* owner: the descriptor, open, and nobody's */
  ARGUMENTS(1);
  OWNED(argv[0]);
  return give_int(env, take(owned));
}
static napi_value call_still_owned(napi_env env, napi_callback_info info) { /* owner: 1 if the number names what it did */
  ARGUMENTS(1);
  OWNED(argv[0]);
  return give_int(env, is_same(owned));
}

void export_owned_descriptor(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"own", call_own}, {"closeOwned", call_close_owned}, {"disown", call_disown}, {"stillOwned", call_still_owned}};
  EXPORT_METHODS(methods);
}

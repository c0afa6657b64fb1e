/* Which environment (the main thread, a worker) has which descriptors. They end with it: a worker that is terminated runs no code of its
 * own any more, and what its descriptors stand for (a lock, a seat, an address) would be taken for as long as the process lives.
 *
 * The native call that makes a descriptor notes it, so that no instruction of JavaScript lies between; the one that closes it, or gives
 * it away, strikes it out. One table for the process, by number: whoever takes a descriptor over from another thread has it from then on.
 *
 *   chunks[fd / CHUNK] -> [ {owner, what it was, serial} x CHUNK ]     owner NULL: nobody's, or somebody's whom we do not know
 *
 * A number that somebody closed behind our back may name something else by now. The device and the inode tell that, as far as they can
 * (an eventfd and an epoll set have the same), and to the objects of one thread the serial number does. */
#include "vecino.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 256, CHUNKS = 8192 };
struct owned {
  struct instance *owner;
  dev_t device;
  ino_t inode;
  int32_t serial;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows; no call is made under it that could block */
static struct owned *chunks[CHUNKS];
static int32_t last_serial;

/* NULL if there is none, and beyond the table, which has room for two million descriptors. */
static struct owned *find(int fd) {
  if (fd < 0 || fd >= CHUNK * CHUNKS || chunks[fd / CHUNK] == NULL) return NULL;
  return &chunks[fd / CHUNK][fd % CHUNK];
}
static bool is_same(int fd, const struct owned *owned) {
  struct stat now;
  return fstat(fd, &now) == 0 && now.st_dev == owned->device && now.st_ino == owned->inode;
}

int32_t descriptor_own(struct instance *instance, int fd) {
  struct stat now;
  if (fstat(fd, &now) < 0) return -errno;
  if (fd >= CHUNK * CHUNKS) return 0;
  int32_t serial = -ENOMEM;
  pthread_mutex_lock(&lock);
  struct owned **chunk = &chunks[fd / CHUNK];
  if (*chunk == NULL) *chunk = calloc(CHUNK, sizeof **chunk);
  if (*chunk != NULL) {
    serial = last_serial = last_serial == INT32_MAX ? 1 : last_serial + 1;
    (*chunk)[fd % CHUNK] = (struct owned){instance, now.st_dev, now.st_ino, serial};
  }
  pthread_mutex_unlock(&lock);
  return serial;
}
void descriptor_forget(int fd) {
  pthread_mutex_lock(&lock);
  struct owned *owned = find(fd);
  if (owned != NULL) owned->owner = NULL;
  pthread_mutex_unlock(&lock);
}
bool descriptor_own_pair(struct instance *instance, const int pair[2]) {
  if (descriptor_own(instance, pair[0]) >= 0) {
    if (descriptor_own(instance, pair[1]) >= 0) return true;
    descriptor_forget(pair[0]);
  }
  close(pair[0]);
  close(pair[1]);
  errno = ENOMEM;
  return false;
}
napi_value give_descriptor(napi_env env, struct instance *instance, long fd) {
  if (fd >= 0 && descriptor_own(instance, (int)fd) < 0) {
    close((int)fd);
    errno = ENOMEM;
    fd = -1;
  }
  return give_call(env, instance, fd);
}

void descriptor_close_all(struct instance *instance) {
  for (int fd = 0; fd < CHUNK * CHUNKS; fd++) {
    pthread_mutex_lock(&lock);
    while (fd < CHUNK * CHUNKS && chunks[fd / CHUNK] == NULL) fd += CHUNK;
    struct owned *found = find(fd), owned = {NULL, 0, 0, 0};
    if (found != NULL && found->owner == instance) {
      owned = *found;
      found->owner = NULL;
    }
    pthread_mutex_unlock(&lock);
    /* The standard streams are the program's, whoever has made an object of them. */
    if (owned.owner != NULL && fd > STDERR_FILENO && is_same(fd, &owned)) close(fd);
  }
}

static napi_value call_own(napi_env env, napi_callback_info info) { /* fd: the serial number of this owning */
  ARGUMENTS(1);
  return give_int(env, descriptor_own(instance, arg_int(env, argv[0])));
}
static napi_value call_disown(napi_env env, napi_callback_info info) { /* fd: open, and nobody's */
  ARGUMENTS(1);
  descriptor_forget(arg_int(env, argv[0]));
  return give_int(env, 0);
}
static napi_value call_owns(napi_env env, napi_callback_info info) { /* fd, serial: 1 if the number names what it did */
  ARGUMENTS(2);
  int fd = arg_int(env, argv[0]);
  pthread_mutex_lock(&lock);
  struct owned *found = find(fd), owned = {NULL, 0, 0, 0};
  if (found != NULL) owned = *found;
  pthread_mutex_unlock(&lock);
  return give_int(env, owned.owner == instance && owned.serial == arg_int(env, argv[1]) && is_same(fd, &owned));
}

void export_owned_descriptor(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {{"own", call_own}, {"disown", call_disown}, {"owns", call_owns}};
  EXPORT_METHODS(methods);
}

/* mmap(2), munmap(2), memfd_create(2), shm_open(3), shm_unlink(3).
 *
 * A mapping becomes one external ArrayBuffer; mapping.c says what becomes of both. munmap() detaches the buffer first, so a view that is
 * kept too long has length 0. If somebody else detached it (ArrayBuffer.prototype.transfer moves the memory to another object),
 * it answers EBUSY and the memory goes with that object, when it is collected. */
#include "guard.h"
#include "mapping.h"
#include "vecino.h"
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

static void unmap(void *start, size_t length) { munmap(start, length); }

static napi_value call_mmap(napi_env env, napi_callback_info info) { /* length, prot, flags, fd, offset, slot out */
  ARGUMENTS(6);
  size_t length = (size_t)arg_int64(env, argv[0]);
  int prot = arg_int(env, argv[1]), flags = arg_int(env, argv[2]);
  struct bytes out = arg_bytes(env, argv[5]);
  if (out.length < sizeof(int32_t)) return give_int(env, -EINVAL);
  void *start = mmap(NULL, length, prot, flags, arg_int(env, argv[3]), arg_int64(env, argv[4]));
  if (start == MAP_FAILED) return give_call(env, instance, -1);
  instance->counters->calls++;
  return give_mapping(instance, start, length, (prot & PROT_WRITE) == 0, unmap, (int32_t *)(void *)out.data);
}
static napi_value call_munmap(napi_env env, napi_callback_info info) { /* slot, buffer */
  ARGUMENTS(2);
  void *start;
  size_t length;
  struct mapping *mapping = guard_owner(arg_int(env, argv[0]));
  if (mapping == NULL || napi_get_arraybuffer_info(env, argv[1], &start, &length) != napi_ok) return give_int(env, -EINVAL);
  if (start != mapping->start || length != mapping->length) return give_int(env, -EBUSY);
  if (napi_detach_arraybuffer(env, argv[1]) != napi_ok) return give_int(env, -EBUSY);
  instance->counters->calls++;
  mapping_close(mapping);
  return give_int(env, 0);
}
static napi_value call_reserved_bytes(napi_env env, napi_callback_info info) { /* of addresses, by this environment */
  ARGUMENTS(1);
  return give_double(env, instance->reserved_bytes);
}
static napi_value call_release_collected(napi_env env, napi_callback_info info) { /* whether V8 is to collect first: how many ranges */
  ARGUMENTS(1);
  int64_t total, much = (int64_t)1 << 40; /* more than V8 lets be: it collects at once */
  bool collect = false;
  napi_get_value_bool(env, argv[0], &collect);
  if (collect) {
    napi_adjust_external_memory(env, much, &total);
    napi_adjust_external_memory(env, -much, &total);
  }
  return give_int(env, mappings_release(instance));
}
static napi_value call_mapping_damage(napi_env env, napi_callback_info info) { /* slot: 0, or what happened (guard.h) */
  ARGUMENTS(1);
  return give_int(env, guard_damage(arg_int(env, argv[0])));
}
static napi_value call_memfd_create(napi_env env, napi_callback_info info) {
  ARGUMENTS(2);
  char name[250];
  if (!arg_text(env, argv[0], name, sizeof name)) return give_int(env, -EINVAL);
  return give_descriptor(env, instance, memfd_create(name, (unsigned)arg_int(env, argv[1])));
}
static napi_value call_shm_open(napi_env env, napi_callback_info info) {
  ARGUMENTS(3);
  char name[NAME_MAX + 2];
  if (!arg_text(env, argv[0], name, sizeof name)) return give_int(env, -ENAMETOOLONG);
  return give_descriptor(env, instance, shm_open(name, arg_int(env, argv[1]), (mode_t)arg_int(env, argv[2])));
}
static napi_value call_shm_unlink(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  char name[NAME_MAX + 2];
  if (!arg_text(env, argv[0], name, sizeof name)) return give_int(env, -ENAMETOOLONG);
  return give_call(env, instance, shm_unlink(name));
}

void export_memory(napi_env env, napi_value exports, struct instance *instance) {
  static const struct method methods[] = {
    {"mmap", call_mmap}, {"munmap", call_munmap}, {"reservedBytes", call_reserved_bytes}, {"releaseCollected", call_release_collected}, {"mappingDamage", call_mapping_damage}, {"memfdCreate", call_memfd_create},
    {"shmOpen", call_shm_open}, {"shmUnlink", call_shm_unlink},
  };
  static const struct constant constants[] = {
    {"PROT_READ", PROT_READ}, {"PROT_WRITE", PROT_WRITE}, {"MAP_SHARED", MAP_SHARED}, {"MAP_PRIVATE", MAP_PRIVATE},
    {"MAP_POPULATE", MAP_POPULATE}, {"MFD_CLOEXEC", MFD_CLOEXEC}, {"MFD_ALLOW_SEALING", MFD_ALLOW_SEALING},
  };
  EXPORT_METHODS(methods);
  EXPORT_CONSTANTS(constants);
}

/* From mmap(2) or shmat(2) to the end: what becomes of memory that JavaScript knows as an external ArrayBuffer.
 *
 *   mapped --- close() ---> reserved --- the ArrayBuffer object is collected ---> unmapped
 *
 * Threads that JavaScript does not see (libuv's pool: fs, zlib, crypto) keep the object while they work on its bytes, and not the
 * bytes themselves. So close() detaches the buffer, and in the same moment puts private pages in place of the shared ones: the kernel's
 * object is released, also a System V attachment, and whoever still works on the range harms nobody. The range itself is nobody
 * else's until V8 has collected the object and has freed what it calls the backing store, which code in C++ may hold alone.
 *
 * What a reserved range costs: no memory unless somebody still writes to it, and next to no kernel objects, since neighbours become one
 * area. V8 is told of a small part of its size, so that many of them, or a large one, make it collect.
 *
 * While a lock in it is held (robust.c) the memory stays what it is; the last lock's release does then what close() could not. */
#include "mapping.h"
#include "guard.h"
#include <stdlib.h>
#include <sys/mman.h>

/* What V8 is told: a range's own cost, and a share of what could be written to it. */
static int64_t burden(const struct mapping *mapping) { return 16384 + (int64_t)(mapping->length / 16); }
static void enlist(struct mapping *mapping) {
  int64_t total;
  napi_adjust_external_memory(mapping->env, burden(mapping), &total);
  if (mapping->instance == NULL) return;
  mapping->next = mapping->instance->reserved;
  mapping->link = &mapping->instance->reserved;
  if (mapping->next != NULL) mapping->next->link = &mapping->next;
  mapping->instance->reserved = mapping;
}
static void delist(struct mapping *mapping) {
  int64_t total;
  napi_adjust_external_memory(mapping->env, -burden(mapping), &total);
  if (mapping->link == NULL) return;
  *mapping->link = mapping->next;
  if (mapping->next != NULL) mapping->next->link = mapping->link;
}

/* Puts private pages in place of the shared ones, in one step: between an unmapping and a mapping the range could become another's.
 * If the kernel refuses (too many areas, a segment of huge pages that does not end with one), it stays shared until it is unmapped. */
static void reserve(struct mapping *mapping) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
  void *at = mmap(mapping->start, mapping->length, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (at == MAP_FAILED) { /* strict accounting counts what can be written; the guard lets single pages be */
    guard_set_read_only(mapping->slot);
    at = mmap(mapping->start, mapping->length, PROT_READ, flags, -1, 0);
  }
  if (at == MAP_FAILED) return;
  mapping->reserved = true;
  guard_set_reserved(mapping->slot);
  enlist(mapping);
}
static void release(struct mapping *mapping) {
  guard_remove(mapping->slot); /* first: the address may belong to somebody else at once */
  mapping->slot = -1;
  if (mapping->reserved) {
    munmap(mapping->start, mapping->length);
    delist(mapping);
  } else {
    mapping->unmap(mapping->start, mapping->length);
  }
}
void mapping_close(struct mapping *mapping) {
  mapping->closed = true;
  if (mapping->slot < 0 || mapping->holds > 0 || mapping->moved) return;
  if (mapping->watched == 0) release(mapping);
  else if (!mapping->reserved) reserve(mapping);
}
void mapping_leave(struct mapping *mapping) {
  if (--mapping->users == 0) free(mapping);
}
struct mapping *mapping_share(const void *start, size_t length) {
  struct mapping *mapping = guard_find(start, length);
  if (mapping != NULL) mapping->users++;
  return mapping;
}

static bool is_collected(const struct mapping *mapping) {
  napi_handle_scope scope; /* or the look would keep it from being collected */
  napi_value buffer = NULL;
  if (napi_open_handle_scope(mapping->env, &scope) != napi_ok) return false;
  bool known = napi_get_reference_value(mapping->env, mapping->buffer, &buffer) == napi_ok;
  napi_close_handle_scope(mapping->env, scope);
  return known && buffer == NULL;
}
static int release_collected(struct instance *instance) {
  int released = 0;
  for (struct mapping *mapping = instance->reserved, *next; mapping != NULL; mapping = next) {
    next = mapping->next;
    if (!is_collected(mapping)) continue;
    release(mapping);
    released++;
  }
  return released;
}
int mappings_release(struct instance *instance) {
  int64_t total, much = (int64_t)1 << 40;
  int released = release_collected(instance);
  /* More than V8 lets be makes it collect at once. That may only end a marking which began before the objects were dropped, so twice. */
  for (int i = 0; i < 2 && released == 0 && instance->reserved != NULL; i++) {
    napi_adjust_external_memory(instance->env, much, &total);
    napi_adjust_external_memory(instance->env, -much, &total);
    released = release_collected(instance);
  }
  return released;
}
void mappings_forget(struct instance *instance) {
  for (struct mapping *mapping = instance->reserved; mapping != NULL; mapping = mapping->next) {
    mapping->link = NULL;
    mapping->instance = NULL;
  }
  instance->reserved = NULL;
}

/* Before the environment ends: it frees the memory of every buffer that it made, also of one that was moved to another thread
 * (ArrayBuffer.prototype.transfer, then postMessage), which may go on with it. That memory stays until the process ends. */
static void before_teardown(void *data) {
  struct mapping *mapping = data;
  napi_handle_scope scope;
  napi_value buffer = NULL;
  void *start = NULL;
  if (mapping->closed || napi_open_handle_scope(mapping->env, &scope) != napi_ok) return;
  bool here = napi_get_reference_value(mapping->env, mapping->buffer, &buffer) == napi_ok && buffer != NULL &&
              napi_get_arraybuffer_info(mapping->env, buffer, &start, NULL) == napi_ok && start == mapping->start;
  mapping->moved = !here;
  napi_close_handle_scope(mapping->env, scope);
}
/* V8 has collected the object, or has freed its memory; each comes once, in any order. */
static void collected(napi_env env, void *data, void *hint) {
  struct mapping *mapping = hint;
  if (--mapping->watched == 0) {
    napi_remove_env_cleanup_hook(env, before_teardown, mapping);
    napi_delete_reference(env, mapping->buffer);
  }
  mapping_close(mapping);
  if (mapping->watched == 0 && !mapping->moved) mapping_leave(mapping); /* else the guard knows it for ever */
}

napi_value give_mapping(struct instance *instance, void *start, size_t length, bool read_only, void (*unmap)(void *, size_t), int32_t *slot) {
  napi_env env = instance->env;
  struct mapping *mapping = malloc(sizeof *mapping);
  int taken = mapping == NULL ? -1 : guard_add(start, length, read_only, mapping);
  if (taken < 0) {
    unmap(start, length);
    free(mapping);
    return give_int(env, -ENOMEM);
  }
  *mapping = (struct mapping){
    .start = start, .length = length, .unmap = unmap, .instance = instance, .env = env, .slot = taken, .users = 1};
  napi_value buffer = NULL;
  napi_status status = napi_create_external_arraybuffer(env, start, length, collected, mapping, &buffer);
  if (status != napi_ok) { /* Electron's V8 forbids external memory */
    mapping_close(mapping);
    free(mapping);
    return give_int(env, status == napi_no_external_buffers_allowed ? -EOPNOTSUPP : -ENOMEM);
  }
  mapping->watched = 2;
  /* These need memory only, which V8 does not live without. If one is refused all the same, the range is never given back. */
  if (napi_create_reference(env, buffer, 0, &mapping->buffer) != napi_ok) mapping->watched++;
  if (napi_add_finalizer(env, buffer, mapping, collected, mapping, NULL) != napi_ok) mapping->watched++;
  napi_add_env_cleanup_hook(env, before_teardown, mapping);
  *slot = taken;
  return buffer;
}

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
 * area. V8 is told of a small part of its size, so that it collects them in time; src/system/reserved.ts bounds the addresses.
 *
 * While a lock in it is held (robust.c) the memory stays what it is; the last lock's release does then what close() could not. */
#include "mapping.h"
#include "guard.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

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
  mapping->instance->reserved_bytes += (double)mapping->length;
}
static void delist(struct mapping *mapping) {
  int64_t total;
  napi_adjust_external_memory(mapping->env, -burden(mapping), &total);
  if (mapping->link == NULL) return;
  mapping->instance->reserved_bytes -= (double)mapping->length;
  *mapping->link = mapping->next;
  if (mapping->next != NULL) mapping->next->link = mapping->link;
}

/* `ulimit -d` counts private pages that can be written to; a program must not come beyond it by closing something. */
static int protection(void) {
  struct rlimit limit;
  return getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? PROT_READ : PROT_READ | PROT_WRITE;
}
/* Puts private pages in place of the shared ones, in one step: between an unmapping and a mapping the range could become another's.
 * Where those that can be written to are counted, or refused (vm.overcommit_memory 2), they are for reading; the guard lets a write
 * through page by page, and a system call that writes is EFAULT. If the kernel refuses these too (too many areas, a segment of huge
 * pages that does not end with one), the range stays shared until it is unmapped. */
static void reserve(struct mapping *mapping) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, allowed = protection();
  void *at = MAP_FAILED;
  if (allowed & PROT_WRITE) at = mmap(mapping->start, mapping->length, allowed, flags, -1, 0);
  if (at == MAP_FAILED) {
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
  if (mapping->slot < 0 || mapping->holds > 0) return;
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
int mappings_release(struct instance *instance) {
  int released = 0;
  for (struct mapping *mapping = instance->reserved, *next; mapping != NULL; mapping = next) {
    next = mapping->next;
    if (!is_collected(mapping)) continue;
    release(mapping);
    released++;
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

/* V8 has collected the object, or has freed its memory, which may be another object's by then. Each comes once, in any order. At the
 * environment's end Node frees the memory of every buffer that it made, also of one that was moved to another thread: see the documents. */
static void unwatch(napi_env env, struct mapping *mapping) {
  bool over = --mapping->watched == 0;
  if (over) napi_delete_reference(env, mapping->buffer);
  if (over || mapping->closed) mapping_close(mapping);
  if (over) mapping_leave(mapping);
}
static void object_collected(napi_env env, void *data, void *hint) { unwatch(env, data); }
static void memory_freed(napi_env env, void *data, void *hint) {
  struct mapping *mapping = hint;
  mapping->closed = true;
  unwatch(env, mapping);
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
  napi_status status = napi_create_external_arraybuffer(env, start, length, memory_freed, mapping, &buffer);
  if (status != napi_ok) { /* Electron's V8 forbids external memory */
    mapping_close(mapping);
    free(mapping);
    return give_int(env, status == napi_no_external_buffers_allowed ? -EOPNOTSUPP : -ENOMEM);
  }
  mapping->watched = 2;
  /* These need memory only, which V8 does not live without. If one is refused all the same, the range is never given back. */
  if (napi_create_reference(env, buffer, 0, &mapping->buffer) != napi_ok) mapping->watched++;
  if (napi_add_finalizer(env, buffer, mapping, object_collected, NULL, NULL) != napi_ok) mapping->watched++;
  *slot = taken;
  return buffer;
}

/* Memory handed to JavaScript as an external ArrayBuffer. See mapping.c. */
#ifndef VECINO_MAPPING_H
#define VECINO_MAPPING_H
#include "vecino.h"

struct mapping {
  void *start;
  size_t length;
  void (*unmap)(void *start, size_t length);
  struct instance *instance; /* NULL once that is gone */
  napi_env env;
  napi_ref buffer;       /* weak */
  int slot;              /* in the guard's table; -1 once unmapped */
  bool closed;           /* nothing new uses it */
  bool reserved;         /* its pages are private ones by now */
  unsigned watched;      /* 2: the ArrayBuffer object and its memory; each counts until V8 has freed it */
  unsigned holds;        /* locks held in it */
  unsigned users;        /* while `watched`, and the locks that know it */
  struct mapping *next, **link; /* of the environment's reserved ones */
};

/* The ArrayBuffer over [start, start + length), which `unmap` gives back; its slot goes to *slot. On failure the memory
 * is unmapped and an errno negated is given. `read_only` memory must be MAP_PRIVATE (guard.c). */
napi_value give_mapping(struct instance *instance, void *start, size_t length, bool read_only, void (*unmap)(void *start, size_t length), int32_t *slot);

/* Ends its use: reserved, then unmapped, as soon as each may be. */
void mapping_close(struct mapping *mapping);

/* Unmaps the reserved ranges whose object V8 has collected, although the event loop has had no turn to tell so. How many. (It does not wait
 * for the backing store; only C++ that keeps that alone, without the object, would mind.) */
int mappings_release(struct instance *instance);

/* For locks in a mapping (robust.c), by the thread that mapped it. While one is held the memory stays what it is, whatever is
 * closed or collected meanwhile: the kernel follows pointers into it when the thread ends. */
struct mapping *mapping_share(const void *start, size_t length); /* the mapping that these bytes lie in, or NULL */
void mapping_leave(struct mapping *mapping);                     /* the end of mapping_share */
static inline void mapping_hold(struct mapping *mapping) { mapping->holds++; }
static inline void mapping_drop(struct mapping *mapping) {
  if (--mapping->holds == 0 && mapping->closed) mapping_close(mapping);
}
#endif

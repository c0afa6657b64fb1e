/* Memory handed to JavaScript as an external ArrayBuffer. See memory.c. */
#ifndef VECINO_MAPPING_H
#define VECINO_MAPPING_H
#include "vecino.h"

struct mapping {
  void *start;
  size_t length;
  void (*unmap)(void *start, size_t length);
  int slot; /* in the guard's table; -1 once unmapped */
  bool closed;
  unsigned holds;  /* locks held in it */
  unsigned users;  /* the buffer, and the locks that know it */
};

/* The ArrayBuffer over [start, start + length), which `unmap` gives back; its slot goes to *slot. On failure the memory
 * is unmapped and an errno negated is given. `read_only` memory must be MAP_PRIVATE (guard.c). */
napi_value give_mapping(napi_env env, void *start, size_t length, bool read_only, void (*unmap)(void *start, size_t length), int32_t *slot);

/* For locks in a mapping (robust.c), by the thread that mapped it. While one is held the memory stays where it is, whatever is
 * closed or collected meanwhile: the kernel follows pointers into it when the thread ends. */
struct mapping *mapping_share(const void *start, size_t length); /* the mapping that these bytes lie in, or NULL */
void mapping_leave(struct mapping *mapping);                     /* the end of mapping_share */
void mapping_unmap(struct mapping *mapping);                     /* unless a lock is held in it */
static inline void mapping_hold(struct mapping *mapping) { mapping->holds++; }
static inline void mapping_drop(struct mapping *mapping) {
  if (--mapping->holds == 0 && mapping->closed) mapping_unmap(mapping);
}
#endif

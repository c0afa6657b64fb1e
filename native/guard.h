/* Mappings that a fault must not kill the process for. See guard.c. */
#ifndef VECINO_GUARD_H
#define VECINO_GUARD_H
#include <stdbool.h>
#include <stddef.h>

enum guard_damage {
  GUARD_TRUNCATED = 1, /* the file no longer reaches this far: SIGBUS */
  GUARD_WRITTEN = 2,   /* the process wrote to a read-only mapping: SIGSEGV */
};
/* A slot for the mapping, or -1 when the table is full. `owner` is handed back by guard_owner. */
int guard_add(void *start, size_t length, bool read_only, void *owner);
void guard_remove(int slot);
void guard_set_reserved(int slot);  /* private pages stand in its place, and nobody is to use it any more */
void guard_set_read_only(int slot); /* from now on a write is let through, page by page */
void *guard_find(const void *start, size_t length); /* the owner of the mapping that these bytes lie in, or NULL */
void *guard_owner(int slot); /* NULL: no such slot, or free */
int guard_damage(int slot);
#endif

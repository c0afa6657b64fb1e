/* Memory handed to JavaScript as an external ArrayBuffer. See memory.c. */
#ifndef VECINO_MAPPING_H
#define VECINO_MAPPING_H
#include "vecino.h"

/* The ArrayBuffer over [start, start + length), which `unmap` gives back; its slot goes to *slot. On failure the memory
 * is unmapped and an errno negated is given. `read_only` memory must be MAP_PRIVATE (guard.c). */
napi_value give_mapping(napi_env env, void *start, size_t length, bool read_only, void (*unmap)(void *start, size_t length), int32_t *slot);
#endif

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { compile, root, start, temporaryFolder } from '../support/processes.js';

const headers = join(dirname(process.execPath), '..', 'include', 'node');

/** Two ranges take turns in one slot; the bytes that are looked for lie in neither, but in the start of one with the length of the other. */
const PROGRAM = `
#include "guard.c"
#include <stdio.h>
/* What the linker wants, and nobody calls here. */
napi_status napi_create_int32(napi_env env, int32_t value, napi_value *result) { return napi_generic_failure; }
void export_methods(napi_env env, napi_value exports, struct instance *instance, const struct method *list, size_t count) {}
#define SHORT ((char *)0x100000)
#define LONG ((char *)0x900000)
static void *claim(void *data) {
  for (int i = 0; i < 2000000; i++) {
    int slot = guard_add(SHORT, 4096, false, SHORT);
    guard_remove(slot);
    slot = guard_add(LONG, 1 << 22, false, LONG);
    guard_remove(slot);
  }
  atomic_store((atomic_int *)data, 1);
  return NULL;
}
int main(void) {
  atomic_int over = 0;
  pthread_t thread;
  long wrong = 0;
  pthread_create(&thread, NULL, claim, &over);
  while (!atomic_load(&over)) {
    void *owner = guard_find(SHORT + 4096, 4096);
    if (owner != NULL) wrong++;
    owner = guard_find(SHORT, 16);
    if (owner != NULL && owner != SHORT) wrong++;
  }
  pthread_join(thread, NULL);
  printf("%ld wrong\\n", wrong);
}`;

test('The guard: what bytes belong to is told right while other threads claim and free its slots', async (context) => {
  if (!existsSync(join(headers, 'node_api.h'))) return context.skip('this Node came without its headers');
  const flags = ['-D_GNU_SOURCE', `-I${join(root, 'native')}`, `-I${headers}`];
  const program = compile(temporaryFolder(), 'finder', PROGRAM, flags);
  const { code, stdout } = await start(program).ended;
  assert.deepEqual([code, stdout], [0, '0 wrong\n']);
});

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClosedError, SystemError, SysVSharedMemory } from 'vecino';
import { compile, runScript, start, temporaryFolder } from '../support/processes.js';

const isSystemError = (code: string) => (error: unknown) => error instanceof SystemError && error.code === code;
const key = (0x76000000 | (process.pid & 0xffffff)) >>> 0;

test('SysVSharedMemory: processes share a SysV segment by key and by id', async () => {
  using memory = SysVSharedMemory.create(key, 1000);
  const words = new Int32Array(memory.buffer);
  words[0] = 41;
  const output = await runScript(
    `import { SysVSharedMemory } from 'vecino';
     const byKey = SysVSharedMemory.open(Number(process.argv[1]));
     const byId = SysVSharedMemory.open({ id: Number(process.argv[2]) });
     console.log(new Int32Array(byKey.buffer)[0], byId.size, byId.status().attached);
     new Int32Array(byId.buffer)[1] = 42;`,
    [String(key), String(memory.id)],
  );
  assert.equal(output, '41 1000 3\n');
  assert.equal(words[1], 42);
  assert.equal(memory.status().mode, 0o600);
  assert.equal(memory.remove(), true);
  memory.close();
  memory.close();
  assert.equal(words.length, 0);
  assert.throws(() => memory.buffer, ClosedError);
  assert.equal(memory.remove(), false);
});

test('SysVSharedMemory: a key that is taken, missing, 0 or no number is refused', () => {
  using memory = SysVSharedMemory.create(key, 1);
  assert.throws(() => SysVSharedMemory.create(key, 1), isSystemError('EEXIST'));
  memory.remove();
  memory.close();
  assert.throws(() => SysVSharedMemory.open(key), isSystemError('ENOENT'));
  assert.throws(() => SysVSharedMemory.open({ id: 0x7ffffff0 }), isSystemError('EINVAL'));
  assert.throws(() => SysVSharedMemory.open(0), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => SysVSharedMemory.create(Number.NaN, 1), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => SysVSharedMemory.create('public' as 'private', 1), { code: 'ERR_INVALID_ARG_TYPE' });
  for (const size of [0, -1, Number.NaN])
    assert.throws(() => SysVSharedMemory.create('private', size), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => SysVSharedMemory.create('private', 2 ** 46), isSystemError('ENOMEM'));
});

test('SysVSharedMemory: a C program that attaches by key exchanges data with us, and its death detaches it', async () => {
  const program = compile(
    temporaryFolder(),
    'attach',
    `#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
int main(int argc, char **argv) {
  volatile int *words = shmat(shmget((key_t)strtoul(argv[1], 0, 0), 0, 0), 0, 0);
  if (words == (void *)-1) return 1;
  words[1] = words[0] + 1;
  puts("done"); fflush(stdout);
  getchar();
}`,
  );
  using memory = SysVSharedMemory.create(key + 1, 4096);
  const words = new Int32Array(memory.buffer);
  words[0] = 5;
  const peer = start(program, [String(key + 1)]);
  assert.equal(await peer.line(), 'done');
  assert.equal(words[1], 6);
  assert.equal(memory.status().attached, 2);
  await peer.kill();
  assert.equal(memory.status().attached, 1);
  memory.remove();
});

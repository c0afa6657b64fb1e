import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mutex } from 'vecino/sync';
import { awaited, peer, segment, until } from '../support/locks.js';
import { compile, start, temporaryFolder } from '../support/processes.js';

const limit = { timeout: 120_000 };

/** Does with the mutex at the segment's beginning what the lines of its standard input say, and prints each call's result. */
const program = compile(
  temporaryFolder(),
  'mutex-peer',
  `#define _GNU_SOURCE
   #include <errno.h>
   #include <fcntl.h>
   #include <pthread.h>
   #include <stdio.h>
   #include <stdlib.h>
   #include <string.h>
   #include <sys/mman.h>
   #include <unistd.h>

   /* As most programs make it, but of that type or with that fault. */
   static int make(pthread_mutex_t *mutex, const char *how) {
     pthread_mutexattr_t attributes;
     pthread_mutexattr_init(&attributes);
     int plain = !strcmp(how, "private\\n");
     if (!plain) pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
     if (!plain && strcmp(how, "fragile\\n")) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
     if (!strcmp(how, "inheriting\\n")) pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
     if (!strcmp(how, "normal\\n")) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_NORMAL);
     if (!strcmp(how, "default\\n")) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_DEFAULT);
     if (!strcmp(how, "recursive\\n")) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
     if (plain || !strcmp(how, "errorcheck\\n")) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
     if (!strcmp(how, "adaptive\\n")) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
     memset(mutex, 0, sizeof *mutex);
     return pthread_mutex_init(mutex, &attributes);
   }
   int main(int argc, char **argv) {
     char line[64];
     int fd = shm_open(argv[1], O_RDWR, 0);
     char *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
     pthread_mutex_t *mutex = (pthread_mutex_t *)memory;
     volatile int *counter = (int *)(memory + 4096);
     while (fgets(line, sizeof line, stdin) != NULL) {
       int result = -1;
       if (!strncmp(line, "init ", 5)) result = make(mutex, line + 5);
       else if (!strcmp(line, "lock\\n")) result = pthread_mutex_lock(mutex);
       else if (!strcmp(line, "trylock\\n")) result = pthread_mutex_trylock(mutex);
       else if (!strcmp(line, "consistent\\n")) result = pthread_mutex_consistent(mutex);
       else if (!strcmp(line, "unlock\\n")) result = pthread_mutex_unlock(mutex);
       else if (!strcmp(line, "destroy\\n")) result = pthread_mutex_destroy(mutex);
       else if (!strcmp(line, "die\\n")) _exit(0);
       else if (!strcmp(line, "count\\n")) {
         result = 0;
         for (int i = 0; i < 200000 && result == 0; i++) {
           result = pthread_mutex_lock(mutex);
           ++*counter;
           if (result == 0) result = pthread_mutex_unlock(mutex);
         }
       }
       printf("%d\\n", result);
       fflush(stdout);
     }
   }`,
);
const EBUSY = '16';
const EPERM = '1';
const EDEADLK = '35';
const EOWNERDEAD = '130';
const ENOTRECOVERABLE = '131';

function cPeer(name: string) {
  const running = start(program, [name]);
  return {
    ...running,
    call: (what: string) => {
      running.write(`${what}\n`);
      return running.line();
    },
    begin: (what: string) => running.write(`${what}\n`),
    end: () => {
      running.child.stdin!.end();
      return running.ended;
    },
  };
}

test('Locks: a C program and vecino exclude each other, whoever made the mutex', limit, async () => {
  using memory = segment();
  const words = new Int32Array(memory.buffer);
  const there = cPeer(memory.name!);
  for (const make of [
    async () => void Mutex.create(memory),
    async () => assert.equal(await there.call('init errorcheck'), '0'),
  ]) {
    await make();
    const mutex = Mutex.at(memory);
    assert.equal(await there.call('lock'), '0');
    assert.equal(mutex.tryLock(), null);
    assert.equal(await there.call('lock'), EDEADLK);
    assert.equal(await there.call('consistent'), '22');
    for (const wait of [() => mutex.lock(), async () => mutex.lockSync()]) {
      const waiting = wait.toString().includes('Sync') ? undefined : wait();
      if (waiting) await until(() => awaited(words, 0));
      assert.equal(await there.call('unlock'), '0');
      const guard = await (waiting ?? wait());
      assert.equal(await there.call('trylock'), EBUSY);
      assert.equal(await there.call('unlock'), EPERM);
      there.begin('lock');
      await until(() => awaited(words, 0));
      guard.release();
      assert.equal(await there.line(), '0');
    }
    assert.equal(await there.call('unlock'), '0');
    assert.equal(await there.call('destroy'), '0'); // nobody holds it, by the C library's count as well
  }
  await there.end();
});

test('Locks: a C program that dies with the mutex is reported, and vecino repairs', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const words = new Int32Array(memory.buffer);
  for (const early of [false, true]) {
    const there = cPeer(memory.name!);
    assert.equal(await there.call('lock'), '0');
    const waiting = early ? mutex.lock() : undefined;
    if (early) await until(() => awaited(words, 0));
    there.begin('die');
    await there.ended;
    const guard = await (waiting ?? mutex.lock());
    assert.equal(guard.ownerDied, true);
    const other = cPeer(memory.name!);
    assert.equal(await other.call('trylock'), EBUSY);
    guard.markConsistent();
    guard.release();
    assert.equal(await other.call('lock'), '0');
    assert.equal(await other.call('unlock'), '0');
    await other.end();
  }
});

test('Locks: a vecino that dies with the mutex is reported to a C program, which repairs', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const words = new Int32Array(memory.buffer);
  const there = cPeer(memory.name!);
  for (const early of [false, true]) {
    const victim = await peer(memory);
    assert.equal(await victim.run('globalThis.guard = Mutex.at(memory).lockSync()'), 'done');
    if (early) {
      there.begin('lock');
      await until(() => awaited(words, 0));
    }
    await victim.kill();
    assert.equal(await (early ? there.line() : there.call('lock')), EOWNERDEAD);
    assert.equal(mutex.tryLock(), null);
    assert.equal(await there.call('consistent'), '0');
    assert.equal(await there.call('unlock'), '0');
    using guard = mutex.lockSync();
    assert.equal(guard.ownerDied, false);
  }
  await there.end();
});

test('Locks: what one side leaves unrepaired is not recoverable for the other', limit, async () => {
  using memory = segment();
  const there = cPeer(memory.name!);
  for (const unrepaired of ['vecino', 'C']) {
    const mutex = Mutex.create(memory);
    const victim = cPeer(memory.name!);
    assert.equal(await victim.call('lock'), '0');
    victim.begin('die');
    await victim.ended;
    if (unrepaired === 'vecino') {
      mutex.lockSync().release();
    } else {
      assert.equal(await there.call('lock'), EOWNERDEAD);
      assert.equal(await there.call('unlock'), '0');
    }
    assert.equal(await there.call('lock'), ENOTRECOVERABLE);
    assert.throws(() => mutex.lockSync(), { code: 'ENOTRECOVERABLE' });
    assert.equal(await there.call('trylock'), ENOTRECOVERABLE);
  }
  await there.end();
});

test('Locks: C and vecino count together exactly', limit, async () => {
  using memory = segment();
  const mutex = Mutex.create(memory);
  const words = new Int32Array(memory.buffer);
  const peers = [cPeer(memory.name!), cPeer(memory.name!)];
  const node = await peer(memory);
  for (const there of peers) there.begin('count');
  node.begin(
    'const mutex = Mutex.at(memory); for (let i = 0; i < 200_000; i++) { mutex.enterSync(); words[1024]++; mutex.exit(); }',
  );
  for (let i = 0; i < 20_000; i++) {
    const guard = await mutex.lock();
    words[1024]++;
    guard.release();
  }
  for (const there of peers) assert.equal(await there.line(), '0');
  assert.equal(await node.line(), 'done');
  assert.equal(words[1024], 620_000);
  for (const there of peers) await there.end();
  await node.kill();
});

test('Locks: the layout is that of the C library', limit, async () => {
  using memory = segment();
  const there = cPeer(memory.name!);
  assert.equal(await there.call('init errorcheck'), '0');
  const made = new Uint8Array(memory.buffer).slice(0, Mutex.byteLength);
  new Uint8Array(memory.buffer).fill(0xff);
  Mutex.create(memory);
  assert.deepEqual(new Uint8Array(memory.buffer).slice(0, Mutex.byteLength), made);
  assert.equal(new Uint8Array(memory.buffer)[Mutex.byteLength], 0xff);
  await there.end();
});

for (const type of ['unset', 'normal', 'default', 'recursive', 'errorcheck', 'adaptive']) {
  test(
    `Mutex: one whose type C has ${type === 'unset' ? 'not set' : `set to ${type}`} is shared with C, also over a death`,
    limit,
    async () => {
      using memory = segment();
      const there = cPeer(memory.name!);
      assert.equal(await there.call(`init ${type}`), '0');
      const mutex = Mutex.at(memory);
      const guard = mutex.lockSync();
      assert.equal(await there.call('trylock'), EBUSY);
      guard.release();
      assert.equal(await there.call('lock'), '0');
      assert.equal(mutex.tryLock(), null);
      assert.equal(await there.call('unlock'), '0');
      const victim = cPeer(memory.name!);
      assert.equal(await victim.call('lock'), '0');
      victim.begin('die');
      await victim.ended;
      {
        using repairing = await mutex.lock();
        assert.equal(repairing.ownerDied, true);
        repairing.markConsistent();
      }
      assert.equal(await there.call('lock'), '0');
      assert.equal(await there.call('unlock'), '0');
      assert.equal(await there.call('destroy'), '0');
      await there.end();
    },
  );
}
test(
  'Mutex: one that C has made so that it cannot be shared with vecino is refused with the call that is missing',
  limit,
  async () => {
    using memory = segment();
    const there = cPeer(memory.name!);
    for (const [how, advice] of Object.entries({
      private:
        /must call pthread_mutexattr_setpshared\(…, PTHREAD_PROCESS_SHARED\) and pthread_mutexattr_setrobust\(…, PTHREAD_MUTEX_ROBUST\) before/,
      fragile: /must call pthread_mutexattr_setrobust\(…, PTHREAD_MUTEX_ROBUST\) before/,
      inheriting: /must call pthread_mutexattr_setprotocol\(…, PTHREAD_PRIO_NONE\) before/,
    })) {
      assert.equal(await there.call(`init ${how}`), '0');
      assert.throws(() => Mutex.at(memory), { code: 'ERR_VECINO_CORRUPT', message: advice });
    }
    await there.end();
  },
);

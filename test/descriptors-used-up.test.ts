import './support/leaks.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { root, start, temporaryFolder, uniqueName } from './support/processes.js';

/** Operations, each with what it must clear away. What they wait for does not come: a time-out is an answer, too. */
const operations: Record<string, string> = {
  pipe: `const { reader, writer } = pipe(); own(reader, writer); await reader.read(soon);`,
  FIFO: `own(Fifo.create(path)); await Fifo.openReader(path, soon);`,
  'message queue': `const queue = own(MessageQueue.create(name)); later(() => queue.unlink()); await queue.receive(soon);`,
  'System V message queue': `const queue = own(SysVMessageQueue.create('private')); early(() => queue.remove()); await queue.receive(soon);`,
  'Unix sockets': `own(unix.listen('@' + name)); const socket = own(await unix.connect('@' + name)); await socket.receive(soon);`,
  'pair of sockets': `const [one, other] = unix.pair(); own(one, other); await one.receive(soon);`,
  'TCP server': `const server = own(tcp.listen()); await server.accept(soon);`,
  epoll: `const epoll = own(new readiness.Epoll()); await epoll.wait(soon);`,
  select: `await readiness.select({ read: [0] }, soon);`,
  memory: `const memory = own(SharedMemory.create(name, 4096)); later(() => SharedMemory.unlink(name)); own(SharedMemory.open(name));`,
  'anonymous memory': `own(SharedMemory.anonymous(4096));`,
  mutex: `later(() => Mutex.unlink(name)); const held = own(Mutex.named(name)); const mutex = own(Mutex.named(name)); own(held.lockSync()); await mutex.lock(soon);`,
  semaphore: `later(() => Semaphore.unlink(name)); const permits = own(Semaphore.create(name, 0)); await permits.acquire(soon);`,
  'System V semaphore': `const set = own(SysVSemaphore.create('private', [0])); early(() => set.remove()); await set.operate([{ index: 0, delta: -1 }], soon);`,
  'file lock': `const held = own(FileLock.open(path + '-lock', { create: true })); held.tryExclusive(); const lock = own(FileLock.open(path + '-lock')); await lock.exclusive(soon);`,
  signal: `own(signals.on('SIGUSR2', () => {})); await signals.wait('SIGUSR2', soon);`,
  topic: `const topic = own(await Topic.open(name)); const subscription = topic.subscribe(); await topic.publish(1); await subscription.receive(soon); await subscription.receive(soon);`,
  queue: `later(() => Queue.unlink(name)); const queue = own(await Queue.open(name)); await queue.send(1); (await queue.receive(soon)).acknowledge(); await queue.receive(soon);`,
  listener: `own(await listen(name));`,
  service: `own(await serve(name, { nothing() {} }));`,
};

test('Descriptors: with no descriptor, one, two and more left each operation succeeds or fails with an IpcError, leaves none open, and closes', async () => {
  const folder = temporaryFolder();
  const source = `import * as vecino from 'vecino';
    import { closeSync, openSync } from 'node:fs';
    import { releaseWordKernel } from '#src/system/word-wait.js';
    Object.assign(globalThis, vecino);
    const [prefix, folder] = process.argv.slice(1);
    const operations = { ${Object.entries(operations)
      .map(([what, body]) => `${JSON.stringify(what)}: async ({ name, path, soon, own, early, later }) => { ${body} }`)
      .join(',\n')} };
    process.stderr.write(''); // Node opens it when it is first used, for a warning, say
    const hoard = [];
    const fill = () => {
      for (let count = 0; ; count++) try { hoard.push(openSync('/dev/null')); } catch { return count; }
    };
    const MOST = 14;
    let number = 0;
    const once = async (operation) => {
      const things = [], before = [], after = [];
      const own = (...made) => (things.push(...made), made[0]);
      const one = { name: prefix + '-' + number, path: folder + '/fifo-' + number++, soon: { timeout: 5 }, own,
        early: (call) => before.push(call), later: (call) => after.push(call) };
      let failure;
      try { await operation(one); } catch (error) { failure = error; }
      const scarce = fill(); // now there is none at all
      const faults = [];
      const quiet = (call) => { try { call(); } catch (error) { faults.push('closing: ' + error.stack); } };
      for (const call of before) quiet(call);
      for (const thing of things.reverse()) quiet(() => thing[Symbol.dispose]());
      for (const fd of hoard.splice(hoard.length - scarce)) closeSync(fd);
      for (const call of after) quiet(call);
      await releaseWordKernel();
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      return { failure, faults };
    };
    process.on('unhandledRejection', (error) => console.log('unhandled: ' + error.stack));
    for (const [what, operation] of Object.entries(operations)) {
      await once(operation); // what is made once for all is made
      for (let left = 0; left <= MOST; left++) {
        fill();
        for (const fd of hoard.splice(hoard.length - left)) closeSync(fd);
        const { failure, faults } = await once(operation);
        const free = fill();
        for (const fd of hoard.splice(0)) closeSync(fd);
        const where = what + ', ' + left + ' left: ';
        if (failure !== undefined && !(failure instanceof IpcError)) console.log(where + failure.stack);
        for (const fault of faults) console.log(where + fault);
        if (free !== left) console.log(where + free + ' are free afterwards');
      }
    }
    console.log('done');`;
  // Enough to load all modules at a time.
  const args = ['--nofile=200', process.execPath, '--input-type=module', '--eval', source, '--', uniqueName('used-up')];
  const env = { ...process.env, VECINO_RUNTIME_DIR: join(folder, 'run') };
  const { stdout, stderr } = await start('prlimit', [...args, folder], { cwd: root, env }).ended;
  assert.equal(stdout, 'done\n', stderr);
});

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import {
  compile,
  type Outcome,
  runOnFileSystem,
  runOnSmallFileSystem,
  start,
  temporaryFolder,
  WITHOUT_TMPFILE,
} from '../support/processes.js';

/** Everything that is made in a file, used once, and gone; what is left prints at the end. */
const SCRIPT = `
  import { readdirSync } from 'node:fs';
  import { connect, listen, Mutex, Queue, Semaphore, SharedMemory, Topic } from 'vecino';
  const name = 'vecino-test-plain-' + process.pid;
  const made = [];
  const keep = (object) => { made.push(object); return object; };
  const memory = keep(SharedMemory.create(name, 100_000));
  try { SharedMemory.create(name, 1); } catch (error) { console.log(error.code); }
  console.log(keep(SharedMemory.open(name)).size, memory.unlink(), keep(SharedMemory.anonymous(5000)).size);
  keep(Mutex.named(name)).lockSync().release();
  Mutex.unlink(name);
  const semaphore = keep(Semaphore.create(name, 1));
  try { Semaphore.create(name, 1); } catch (error) { console.log(error.code); }
  console.log(keep(Semaphore.open(name)).tryAcquire(), semaphore.value, semaphore.unlink());
  const queue = await Queue.open(name);
  queue.sendSync('queue');
  console.log(queue.receiveSync().value);
  queue.close();
  Queue.unlink(name);
  const topic = await Topic.open(name);
  const subscription = topic.subscribe();
  await topic.publish('topic');
  for await (const value of subscription) { console.log(value.value ?? value); break; }
  topic.close();
  const listener = await listen(name);
  const [server, client] = await Promise.all([listener.accept(), connect(name)]);
  client.sendSync('connection');
  console.log(await server.receive());
  for (const each of [client, server, listener, ...made]) each.close();
  console.log('left:', [...readdirSync(process.env.VECINO_RUNTIME_DIR), ...readdirSync('/dev/shm')].filter((each) => /plain|vecino-new/.test(each)).join());`;
const EXPECTED = 'EEXIST\n100000 true 5000\nEEXIST\ntrue 0 true\nqueue\ntopic\nconnection\nleft: \n';

function judge(outcome: Outcome, expected: string): void {
  assert.deepEqual([outcome.stderr, outcome.stdout, outcome.code], ['', expected, 0]);
}

test('Files: on a ramfs, which has no fallocate, everything works and nothing is left', async (context) => {
  const outcome = await runOnFileSystem('-t ramfs', SCRIPT);
  if (outcome === undefined) return context.skip('this machine lets no test mount a file system');
  judge(outcome, EXPECTED);
});

test('Files: without O_TMPFILE and fallocate everything works and nothing is left', async () => {
  const launcher = compile(temporaryFolder(), 'without-tmpfile', WITHOUT_TMPFILE);
  const folder = temporaryFolder();
  const outcome = await start(launcher, [process.execPath, '--input-type=module', '--eval', SCRIPT], {
    env: { ...process.env, VECINO_RUNTIME_DIR: folder },
  }).ended;
  judge(outcome, EXPECTED);
});

test('Files: without fallocate, a file system that is full is ENOSPC when something is made, and nothing is left', async (context) => {
  const launcher = compile(temporaryFolder(), 'without-tmpfile', WITHOUT_TMPFILE);
  const outcome = await runOnSmallFileSystem(
    '1m',
    `import { readdirSync } from 'node:fs';
     import { Queue, SharedMemory, Topic } from 'vecino';
     const attempt = async (make) => { try { (await make()).close(); return 'made'; } catch (error) { return error.code + ' ' + error.syscall + ' ' + error.path; } };
     console.log(await attempt(() => SharedMemory.create('large', 2_000_000)));
     console.log((await attempt(() => Queue.open('large', { capacity: 1000, messageSize: 10000 }))).replace(process.env.VECINO_RUNTIME_DIR, ''));
     console.log(readdirSync('/dev/shm').join(), readdirSync(process.env.VECINO_RUNTIME_DIR).length);
     console.log(await attempt(() => SharedMemory.create('small', 20_000)), SharedMemory.unlink('small'));`,
    launcher,
  );
  if (outcome === undefined) return context.skip('this machine lets no test mount a file system');
  judge(outcome, 'ENOSPC pwrite large\nENOSPC pwrite /large/slots\nrun 0\nmade true\n');
});

test('Files: without O_TMPFILE, what a maker that was killed has left goes with the next', async () => {
  const launcher = compile(temporaryFolder(), 'without-tmpfile', WITHOUT_TMPFILE);
  const folder = temporaryFolder();
  const run = (source: string) =>
    start(launcher, [process.execPath, '--input-type=module', '--eval', source], {
      env: { ...process.env, FOLDER: folder },
      cwd: new URL('../../..', import.meta.url).pathname,
    });
  const make = `
    import { newFile } from '#src/system/new-file.js';
    const file = newFile(process.env.FOLDER);`;
  const killed = run(`${make} console.log('made'); setInterval(() => {}, 1000);`);
  assert.equal(await killed.line(), 'made');
  const living = run(`${make} console.log('made'); setInterval(() => {}, 1000);`);
  assert.equal(await living.line(), 'made');
  assert.equal(readdirSync(folder).length, 2); // nobody touches what a living one is at
  await killed.kill();
  const next = await run(`${make} file.publish(process.env.FOLDER + '/whole');`).ended;
  assert.equal(next.stderr, '');
  assert.deepEqual(
    readdirSync(folder)
      .map((name) => (name.startsWith('.vecino-new-') ? 'hidden' : name))
      .sort(),
    ['hidden', 'whole'],
  );
  await living.kill();
});

test('Files: on a file system that is full the error names what could not be made', async (context) => {
  const outcome = await runOnSmallFileSystem(
    '8k',
    `import { Queue, Semaphore, SharedMemory, Topic } from 'vecino';
     for (const make of [() => Topic.open('x'), () => Queue.open('y'), () => SharedMemory.create('z', 20_000)]) {
       try { await make(); } catch (error) { console.log(error.code, error.path.replace(process.env.VECINO_RUNTIME_DIR, '')); }
     }`,
  );
  if (outcome === undefined) return context.skip('this machine lets no test mount a file system');
  judge(outcome, 'ENOSPC /x/control\nENOSPC /y/control\nENOSPC z\n');
});

/** What stands in a channel's place and is none, and what the kernel refuses: an error of ours, and never a wait. */
import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root, runOnSmallFileSystem, runScript, start, temporaryFolder, uniqueName } from '../../support/processes.js';

const PRELUDE = `
  import * as vecino from 'vecino';
  const tell = async (name, call) => {
    try {
      await call();
      console.log(name + ' worked');
    } catch (error) {
      const known = error instanceof vecino.IpcError;
      console.log([name, error.name, error.code, known ? error.syscall : 'is none of ours: ' + error.stack].filter(Boolean).join(' '));
    }
  };
`;
/** What a script of `tell` calls prints, run in a runtime folder of its own. */
async function told(calls: string, env: Record<string, string>): Promise<string[]> {
  const printed = await runScript(`${PRELUDE}${calls}\nprocess.exit(0);`, [], { env: { ...process.env, ...env } });
  return printed.trim().split('\n');
}
const OPENERS = `
  await tell('Queue.open', () => vecino.Queue.open('x'));
  await tell('Queue.open with codec', () => vecino.Queue.open('x', { codec: 'text' }));
  await tell('Topic.open', () => vecino.Topic.open('x'));
  await tell('listen', () => vecino.listen('x'));
  await tell('serve', () => vecino.serve('x', { f() {} }));
  await tell('connect', () => vecino.connect('x'));
  await tell('client', () => vecino.client('x'));`;

test('Channels: a FIFO, a folder or a socket in place of a control file is refused at once, and listed', async () => {
  for (const make of [
    'mkfifo "$0"',
    'mkdir "$0"',
    `"$1" -e 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))' "$0" || true`,
  ]) {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'x'), { mode: 0o700 });
    execFileSync('sh', ['-c', make, join(folder, 'x', 'control'), process.execPath]);
    const lines = await told(
      `${OPENERS}
       const [{ name, kind, error }] = vecino.listChannels();
       console.log('listed', name, kind, error instanceof vecino.IpcError);
       await tell('Queue.unlink', () => vecino.Queue.unlink('x'));
       console.log(vecino.listChannels().length);`,
      { VECINO_RUNTIME_DIR: folder },
    );
    const [kind] = make.split(' ');
    const expected =
      {
        mkfifo: /^.* CorruptError ERR_VECINO_CORRUPT$/,
        mkdir: /^.* (SystemError EISDIR open|CorruptError ERR_VECINO_CORRUPT)$/,
      }[kind!] ?? /^.* SystemError ENXIO open$/;
    assert.equal(lines.length, 10);
    for (const line of lines.slice(0, 7)) assert.match(line, expected);
    assert.deepEqual(lines.slice(7), ['listed x unknown true', 'Queue.unlink worked', '0']);
  }
});

test('SharedMemory: a FIFO of its name is refused at once', async () => {
  const name = uniqueName();
  execFileSync('mkfifo', [`/dev/shm/${name}`]);
  try {
    const lines = await told(
      `for (const readOnly of [false, true]) await tell('open', () => vecino.SharedMemory.open('${name}', { readOnly }));`,
      {},
    );
    assert.deepEqual(lines, Array(2).fill('open CorruptError ERR_VECINO_CORRUPT'));
  } finally {
    rmSync(`/dev/shm/${name}`);
  }
});

test('Channels: a runtime folder that cannot be made, is a file, or is relative is refused', async () => {
  const file = join(temporaryFolder(), 'file');
  writeFileSync(file, '');
  for (const [path, code] of [
    ['/proc/x', 'ENOENT'],
    ['/proc/x/y', 'ENOENT'],
    [file, 'ENOTDIR'],
    [`${file}/x`, 'ENOTDIR'],
    ['relative', 'EINVAL'],
  ] as const) {
    const lines = await told(`${OPENERS} await tell('listChannels', () => vecino.listChannels());`, {
      VECINO_RUNTIME_DIR: path,
    });
    for (const line of lines) assert.match(line, new RegExp(`^.* SystemError ${code} mkdir$`));
  }
});

test('Channels: without an inode, or on a read-only file system, the error is of the kernel and ours', async (t) => {
  const outcome = await runOnSmallFileSystem(
    '1m,nr_inodes=6',
    `${PRELUDE}
     import { execFileSync } from 'node:child_process';
     import { writeFileSync, rmSync } from 'node:fs';
     const folder = process.env.VECINO_RUNTIME_DIR;
     const makers = async () => { ${OPENERS.split('\n')
       .filter((line) => !/connect|client/.test(line))
       .join('\n')} };
     for (let i = 0; i < 5; i++) writeFileSync(folder + '/f' + i, '');
     await makers();
     for (let i = 0; i < 5; i++) rmSync(folder + '/f' + i);
     execFileSync('mount', ['-o', 'remount,ro', folder]);
     console.log('read-only');
     await makers();
     process.exit(0);`,
  );
  if (outcome === undefined) return t.skip('no file system can be mounted here');
  assert.equal(outcome.code, 0, outcome.stderr);
  const lines = outcome.stdout.trim().split('\n');
  assert.equal(lines.length, 11);
  for (const line of lines.slice(0, 5)) assert.match(line, /SystemError ENOSPC (mkdir|open)$/);
  for (const line of lines.slice(6)) assert.match(line, /SystemError EROFS mkdir$/);
});

test('Channels: without a descriptor every call fails with EMFILE of ours, and works again afterwards', async () => {
  const script = `${PRELUDE}
    import fs from 'node:fs';
    const fill = [];
    const full = (free) => {
      try { for (;;) fill.push(fs.openSync('/dev/null')); } catch {}
      for (let i = 0; i < free; i++) fs.closeSync(fill.pop());
    };
    const empty = () => { for (const fd of fill.splice(0)) fs.closeSync(fd); };
    const topic = await vecino.Topic.open('topic', { codec: 'text' });
    const queue = await vecino.Queue.open('queue');
    const listener = await vecino.listen('listener');
    const calls = {
      publish: () => topic.publish('x'),
      subscribe: () => topic.subscribe().close(),
      'Topic.open': async () => (await vecino.Topic.open('a')).close(),
      'Queue.open': async () => (await vecino.Queue.open('b')).close(),
      listen: async () => (await vecino.listen('c')).close(),
      connect: () => vecino.connect('listener', { timeout: 1 }),
      listChannels: () => { for (const { error } of vecino.listChannels()) if (error) throw error; },
      'Queue.unlink': () => vecino.Queue.unlink('b'),
    };
    for (let free = 0; free < 6; free++) {
      for (const [name, call] of Object.entries(calls)) {
        await tell(free + ' ' + name, async () => {
          full(free);
          try { await call(); } finally { empty(); }
        });
      }
    }
    delete calls.connect;
    for (const [name, call] of Object.entries(calls)) await tell('afterwards ' + name, call);
    topic.close(); queue.close(); listener.close();
    vecino.Queue.unlink('queue');
    console.log(fs.readdirSync(process.env.VECINO_RUNTIME_DIR).join());
    process.exit(0);`;
  const env = { ...process.env, VECINO_RUNTIME_DIR: temporaryFolder() };
  const args = ['--nofile=120:120', process.execPath, '--input-type=module', '--eval', script];
  const outcome = await start('prlimit', args, { cwd: root, env }).ended;
  assert.equal(outcome.code, 0, outcome.stderr);
  const lines = outcome.stdout.split('\n').slice(0, -1);
  assert.equal(lines.pop(), '');
  assert.equal(lines.length, 48 + 7);
  for (const line of lines) assert.match(line, /worked$| SystemError (EMFILE|EAGAIN) |^\d connect TimeoutError /);
  for (const line of lines.slice(0, 6)) assert.match(line, /SystemError EMFILE /);
  for (const line of lines.slice(48)) assert.match(line, /worked$/);
});

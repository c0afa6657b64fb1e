import '../support/leaks.js';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { root, start, temporaryFolder } from '../support/processes.js';
import { assertRefused, COPIES, copied, digest, endlessCopy, MECHANISMS, participants } from './support.js';

for (const via of MECHANISMS) {
  test(`vecino copy: via ${via}: the copy equals the file, and the calls' own results give ${COPIES[via]} copies per byte`, async () => {
    const folder = temporaryFolder();
    const source = join(folder, 'source');
    const destination = join(folder, 'destination');
    writeFileSync(source, randomBytes(3_000_001), { mode: 0o640 });
    const result = await copied([source, destination, '--via', via]);
    assert.ok(readFileSync(source).equals(readFileSync(destination)));
    assert.equal(statSync(destination).mode & 0o777, 0o640);
    assert.equal(result.bytes, 3_000_001);
    assert.equal(result.copiesPerByte, COPIES[via]);
    assert.equal(result.sha256.source, digest(source));
    assert.equal(result.sha256.destination, digest(source));
    const { server, client } = result.processes;
    assert.equal(new Set([server.pid, client.pid, process.pid]).size, 3);
    assert.equal(server.bytesFromKernel - server.controlBytes / 2, via === 'descriptor' ? 0 : 3_000_001);
    assert.equal(client.bytesWithinKernel, via === 'descriptor' ? 3_000_001 : 0);
    for (const account of [server, client]) {
      assert.ok(account.systemCalls > 0);
      assert.ok(account.cpuSeconds.user + account.cpuSeconds.system > 0);
    }
    assert.ok(result.seconds > 0);
    assert.deepEqual(readdirSync(folder).sort(), ['destination', 'source']);
  });

  test(`vecino copy: via ${via}: files of every size around a chunk, and an empty one, arrive whole`, async () => {
    const folder = temporaryFolder();
    for (const size of [0, 1, 4096, 4097]) {
      const source = join(folder, `source-${size}`);
      writeFileSync(source, randomBytes(size));
      const result = await copied([source, join(folder, `copy-${size}`), '--via', via, '--chunk', '4K']);
      assert.equal(result.bytes, size);
      assert.equal(result.copiesPerByte, size === 0 ? 0 : COPIES[via]);
      assert.equal(digest(join(folder, `copy-${size}`)), digest(source));
    }
  });

  for (const victim of ['server', 'client'] as const) {
    test(`vecino copy: via ${via}: the ${victim} killed in the middle is a clear error, and nothing is left`, {
      timeout: 240_000,
    }, async () => {
      const folder = temporaryFolder();
      const command = endlessCopy(folder, via);
      const pids = await participants(command);
      process.kill(pids[victim], 'SIGKILL');
      assertRefused(
        await command.ended,
        new RegExp(`the ${victim} process \\(pid ${pids[victim]}\\) was killed by SIGKILL`),
      );
      assert.deepEqual(readdirSync(folder), ['source']);
    });
  }

  test(`vecino copy: via ${via}: the command itself killed takes both processes with it and leaves nothing`, {
    timeout: 240_000,
  }, async () => {
    const folder = temporaryFolder();
    const command = endlessCopy(folder, via);
    const { server, client } = await participants(command);
    // The name of a queue is gone before data moves.
    assert.deepEqual(
      list('/dev/mqueue').filter((name) => name.startsWith('vecino-copy-')),
      [],
    );
    await command.kill('SIGKILL');
    while (lives(server) || lives(client)) await turn();
    assert.deepEqual(sysvQueuesOf(server), []);
    assert.deepEqual(readdirSync(folder), ['source']);
  });
}

test('vecino copy: killed while it starts, the command leaves nothing either', { timeout: 240_000 }, async () => {
  for (const via of MECHANISMS) {
    const folder = temporaryFolder();
    const command = endlessCopy(folder, via);
    const list = () =>
      readFileSync(`/proc/${command.pid}/task/${command.pid}/children`, 'utf8').split(' ').filter(Boolean);
    while (list().length === 0) await turn();
    const children = list().map(Number);
    await command.kill('SIGKILL');
    while (children.some(lives)) await turn();
    assert.deepEqual(readdirSync(folder), ['source']);
  }
});

test('vecino copy: a participant that is stopped dies with the command', { timeout: 240_000 }, async () => {
  const folder = temporaryFolder();
  const command = endlessCopy(folder, 'shared-memory');
  const { server, client } = await participants(command);
  process.kill(client, 'SIGSTOP');
  await command.kill('SIGKILL');
  while (lives(server) || lives(client)) await turn();
  assert.deepEqual(readdirSync(folder), ['source']);
});

test('vecino copy: with too few descriptors a copy fails at whichever step, says so, and leaves nothing', {
  timeout: 240_000,
}, async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'source'), 'x');
  const script = `
    import { closeSync, openSync } from 'node:fs';
    import { IpcError } from 'vecino';
    import { copy } from '#src/lab/copy/index.js';
    const [source, destination] = process.argv.slice(1);
    for (const via of ${JSON.stringify(MECHANISMS)}) {
      for (let spare = 0; ; spare++) {
        const held = [];
        try { for (;;) held.push(openSync('/dev/null')); } catch {}
        for (let i = 0; i < spare; i++) closeSync(held.pop());
        const error = await copy({ source, destination, via }).then(() => undefined, (error) => error);
        for (const fd of held) closeSync(fd);
        if (error === undefined) break;
        if (!(error instanceof IpcError) || error.code !== 'EMFILE') throw error;
      }
    }
    console.log('done');`;
  const command = 'ulimit -n 128 && exec "$@"';
  const args = [
    process.execPath,
    '--input-type=module',
    '--eval',
    script,
    '--',
    join(folder, 'source'),
    join(folder, 'to'),
  ];
  const env = { ...process.env, TMPDIR: folder };
  const { stdout, stderr } = await start('sh', ['-c', command, 'sh', ...args], { env, cwd: root }).ended;
  assert.equal(stdout, 'done\n', stderr);
  assert.deepEqual(readdirSync(folder).sort(), ['source', 'to']);
});

/** Whether a process runs. One that has ended is listed until its parent has asked how; in a container that may be nobody. */
function lives(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
/** The System V queues that a process was the last to send to, by id. */
function sysvQueuesOf(pid: number): string[] {
  return readFileSync('/proc/sysvipc/msg', 'utf8')
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
    .filter((fields) => fields[5] === String(pid))
    .map((fields) => fields[1]!);
}
/** What a folder has; nothing if it is not mounted here. */
function list(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

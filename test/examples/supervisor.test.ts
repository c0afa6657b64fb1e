import '../support/leaks.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { Fifo } from 'vecino';
import { temporaryFolder } from '../support/processes.js';
import { install, lineLike } from './support.js';

const { run } = install('supervisor');

test('Example supervisor: a killed program is started again, SIGHUP restarts all, and Ctrl+C stops them', async () => {
  const supervisor = run('supervisor.js', ['node dist/service.js', 'node dist/service.js']);
  const seen: Record<string, string> = {};
  while (Object.keys(seen).length < 2) {
    const [name, pid] = await lineLike(supervisor, /^(program-\d) \| (\d+) works$/);
    seen[name!] = pid!;
  }
  process.kill(Number(seen['program-1']), 'SIGKILL');
  await lineLike(supervisor, /^supervisor: program-1 ended \(SIGKILL\)$/);
  const [again] = await lineLike(supervisor, /^program-1 \| (\d+) works$/);
  assert.notEqual(again, seen['program-1']);

  supervisor.child.kill('SIGUSR2');
  await lineLike(supervisor, new RegExp(`^supervisor: program-1 runs as ${again}, start 2$`));
  await lineLike(supervisor, new RegExp(`^supervisor: program-2 runs as ${seen['program-2']}, start 1$`));

  supervisor.child.kill('SIGHUP');
  await lineLike(supervisor, new RegExp(`^supervisor: process ${process.pid} wants a restart$`));
  for (let works = 0; works < 2; works++) await lineLike(supervisor, /^program-\d \| \d+ works$/);

  const { code, stdout } = await supervisor.kill('SIGINT');
  assert.equal(code, 0);
  assert.match(stdout, /supervisor: stops \(SIGINT\)\n/);
  assert.equal(stdout.match(/has tidied up/g)?.length, 4);
  assert.match(stdout, /supervisor: stopped\n/);
});

test('Example supervisor: its programs notice when it is killed, and stop', async () => {
  const path = join(temporaryFolder(), 'output');
  Fifo.create(path);
  const opening = Fifo.openReader(path);
  const supervisor = run('supervisor.js', [`node dist/service.js > ${path}`]);
  const lines = createInterface({ input: (await opening).toStream() })[Symbol.asyncIterator]();
  assert.match((await lines.next()).value, /^\d+ works$/);
  await supervisor.kill('SIGKILL');
  assert.match((await lines.next()).value, /^\d+ has tidied up$/);
  assert.equal((await lines.next()).done, true); // nobody has it open any more
});

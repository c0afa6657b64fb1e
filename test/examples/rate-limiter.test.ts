import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { runScript } from '../support/processes.js';
import { install, lineLike } from './support.js';

const { run } = install('rate-limiter');

interface Answer {
  status: number;
  worker: number;
  cache: string | null;
  text: string;
}
async function ask(port: string, user: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}/?user=${user}`);
  const { status, headers } = response;
  return { status, worker: Number(headers.get('worker')), cache: headers.get('cache'), text: await response.text() };
}

test('Example rate-limiter: all workers count one limit and share one cache, also after deaths', async () => {
  const primary = run('main.js', [], { PORT: '0' });
  const [port] = await lineLike(primary, /^listening on http:\/\/127\.0\.0\.1:(\d+)\//);

  const begun = performance.now();
  const answers: Answer[] = [];
  /** Asks until it is refused. What was allowed altogether is what one bucket allows in that time. */
  const askUntilRefused = async () => {
    do answers.push(await ask(port!, 'ada'));
    while (answers.at(-1)!.status === 200);
    assert.equal(answers.at(-1)!.status, 429);
    const allowed = answers.filter(({ status }) => status === 200).length;
    const seconds = (performance.now() - begun) / 1000;
    assert.ok(allowed >= 10 && allowed <= 10 + seconds + 1, `${allowed} were allowed in ${seconds} s`);
  };
  await askUntilRefused();
  const first = answers[0]!;
  assert.equal(first.cache, 'miss');
  assert.ok(new Set(answers.map(({ worker }) => worker)).size > 1, 'one worker served all');

  process.kill(first.worker, 'SIGKILL');
  await lineLike(primary, new RegExp(`^worker ${first.worker} ended \\(SIGKILL\\), starting another$`));
  await lineLike(primary, /^worker \d+ serves port \d+$/);
  await askUntilRefused();
  const served = answers.slice(1).filter(({ status }) => status === 200);
  assert.ok(served.every(({ cache, text }) => cache === 'hit' && text === first.text));

  // A process that dies with the lock in its hands.
  const memory = readdirSync(`/proc/${primary.pid}/fd`).find((fd) =>
    readlinkSync(`/proc/${primary.pid}/fd/${fd}`).includes('memfd:vecino'),
  );
  assert.ok(memory !== undefined);
  await assert.rejects(
    runScript(`
      import { openSync } from 'node:fs';
      import { Mutex, SharedMemory } from 'vecino';
      const memory = SharedMemory.fromFd(openSync('/proc/${primary.pid}/fd/${memory}', 'r+'));
      Mutex.at(memory).lockSync();
      process.kill(process.pid, 'SIGKILL');`),
    /SIGKILL/,
  );
  assert.equal((await ask(port!, 'grace')).status, 200);
  await lineLike(primary, /^worker \d+ repaired the table after a death$/);

  const { code, stdout, stderr } = await primary.kill('SIGINT');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /stopped\n$/);
});

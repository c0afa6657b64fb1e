import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { install, lineLike } from './support.js';

const { run } = install('job-queue');

const jobs = async (...args: string[]) => (await run('jobs.js', args).ended).stdout;

test('Example job-queue: a job that kills its worker is done by the next one, and the pool stops when all is done', async () => {
  assert.equal(await jobs('crash', '1'), 'added one that crashes\n');
  assert.equal(await jobs('add', '100', '1000'), 'added 2\n');
  const pool = run('pool.js', ['1']);
  const [victim] = await lineLike(pool, /^worker (\d+): job 0 begun, attempt 1$/);
  await lineLike(pool, new RegExp(`^pool: worker ${victim} ended \\(SIGKILL\\), starting another$`));
  await lineLike(pool, /^worker \d+: job 0 done: it killed 1$/);
  await lineLike(pool, /^worker \d+: job 1 done: 25 primes below 100$/);
  await lineLike(pool, /^worker \d+: job 2 done: 168 primes below 1000$/);
  const { code, stdout } = await pool.kill('SIGINT');
  assert.equal(code, 0);
  assert.match(stdout, /pool: stopped\n$/);
  assert.equal(await jobs('status'), '0 ready, 0 in flight\n');
  assert.equal(await jobs('remove'), 'removed\n');
});

test('Example job-queue: a job comes back from a killed worker, from a killed pool, and from one that is stopped at once', async () => {
  await jobs('add', '1000000000'); // hours of work
  const first = run('pool.js', ['1']);
  const [victim] = await lineLike(first, /^worker (\d+): job 1 begun, attempt 1$/);
  process.kill(Number(victim), 'SIGKILL');
  const [heir] = await lineLike(first, /^worker (\d+): job 1 begun, attempt 2$/);
  assert.notEqual(heir, victim);
  first.child.kill('SIGKILL');
  process.kill(Number(heir), 'SIGKILL');
  await first.ended;

  const second = run('pool.js', ['1']);
  await lineLike(second, /job 1 begun, attempt 3$/);
  second.child.kill('SIGINT');
  await lineLike(second, /^pool: the workers finish their jobs/);
  assert.equal((await second.kill('SIGINT')).code, 0);
  assert.equal(await jobs('status'), '1 ready, 0 in flight\n');
  assert.equal(await jobs('remove'), 'removed\n');
});

test('Example job-queue: a job that kills every worker is given up', async () => {
  await jobs('crash');
  const pool = run('pool.js', ['2']);
  await lineLike(pool, /job 0 begun, attempt 3$/);
  await lineLike(pool, /job 0 given up after 3 attempts$/);
  assert.equal((await pool.kill('SIGTERM')).code, 0);
  assert.equal(await jobs('remove'), 'removed\n');
});

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { install, lineLike } from './support.js';

const { run } = install('typed-service');

test('Example typed-service: a client goes on with the next server when the first is killed', async () => {
  const first = run('server.js');
  await lineLike(first, /is ready$/);
  const client = run('client.js');
  for (const number of [3, 2, 1]) assert.equal(await client.line(), String(number));
  assert.equal(await client.line(), 'RangeError: there is no gold');
  assert.equal(await client.line(), `bread costs 3, says server ${first.pid}`);
  await first.kill('SIGKILL');
  const second = run('server.js');
  await lineLike(client, new RegExp(`^bread costs 3, says server ${second.pid}$`));

  const { code, stdout } = await second.kill('SIGINT');
  assert.equal(code, 0);
  assert.match(stdout, /server stopped\n$/);
  const third = run('server.js');
  await lineLike(client, new RegExp(`^bread costs 3, says server ${third.pid}$`));
  const outcome = await client.kill('SIGINT');
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stdout, /client stopped\n$/);
  assert.equal((await third.kill('SIGTERM')).code, 0);
});

test('Example typed-service: a client that comes before its server waits, and stops by Ctrl+C', async () => {
  const early = run('client.js');
  const server = run('server.js');
  await lineLike(early, /^bread costs 3/);
  assert.equal((await early.kill('SIGINT')).code, 0);
  assert.equal((await server.kill('SIGINT')).code, 0);
});

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { install, lineLike } from './support.js';

const { run, folder } = install('frames-python');

test('Example frames-python: frames come back changed by Python, in the memory in which they were sent', async () => {
  const { code, stdout, stderr } = await run('main.js', ['5']).ended;
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^python \d+ works with (numpy|memoryview)$/m);
  assert.match(stdout, /^5 frames of 6220800 bytes came back inverted/m);
});

test('Example frames-python: without numpy it works too, and says what is missing', async () => {
  const packages = join(folder, 'without-numpy');
  mkdirSync(packages);
  writeFileSync(join(packages, 'numpy.py'), 'raise ImportError("not installed")\n');
  const { code, stdout, stderr } = await run('main.js', ['3'], { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: '1' })
    .ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^numpy is not installed: /);
  assert.match(stdout, /with memoryview\n[\s\S]*^3 frames of 6220800 bytes came back inverted/m);
});

test('Example frames-python: the death of Python is reported, and Ctrl+C stops both in the middle', async () => {
  const killed = run('main.js', ['1000000']);
  const [python] = await lineLike(killed, /^python (\d+) works/);
  await lineLike(killed, /^the first frame is back$/);
  process.kill(Number(python), 'SIGKILL');
  const { code, stderr } = await killed.ended;
  assert.equal(code, 1);
  assert.match(stderr, /^python ended \(SIGKILL\) after \d+ frames$/m);

  const stopped = run('main.js', ['1000000']);
  await lineLike(stopped, /^the first frame is back$/);
  const outcome = await stopped.kill('SIGINT');
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stdout, /\d+ frames of 6220800 bytes came back inverted/);
});

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Spin } from '#src/system/spin.js';
import { startScript } from '../support/processes.js';

test('Monotonic clock: shows the same time in each process, from its first instant on', async () => {
  for (let i = 0; i < 3; i++) {
    const child = startScript(`
      import { monotonicMicroseconds } from '#src/system/monotonic.js';
      let [shortest, difference] = [Infinity, 0];
      for (let i = 0; i < 1000; i++) {
        const before = Number(process.hrtime.bigint()) / 1000;
        const shown = monotonicMicroseconds();
        const length = Number(process.hrtime.bigint()) / 1000 - before;
        if (length < shortest) [shortest, difference] = [length, shown - before];
      }
      console.log(difference);`);
    const difference = Number(await child.line());
    await child.ended;
    assert.ok(Math.abs(difference) < 50, `${difference} µs`);
  }
});
test('Spin: ends also where a test has stopped the clock', () => {
  const { now } = performance;
  const stopped = now.call(performance);
  performance.now = () => stopped;
  try {
    let looks = 0;
    const look = () => {
      if (++looks > 10_000_000) throw new Error('it looks for ever');
      return false;
    };
    assert.equal(new Spin(100).until(look), false);
  } finally {
    performance.now = now;
  }
});

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { monotonicMicroseconds } from '#src/system/monotonic.js';
import { commitTime, Spin } from '#src/system/spin.js';

const skip = availableParallelism() < 2 && 'on one processor nobody looks';
/** One that has looked in vain until it gave up. */
function discouraged(): Spin {
  const spin = new Spin();
  for (let i = 0; i < 100 && spin.worthwhile; i++) {
    spin.begin();
    spin.missed();
  }
  assert.equal(spin.worthwhile, false);
  return spin;
}
function pass(microseconds: number): void {
  for (const end = monotonicMicroseconds() + microseconds; monotonicMicroseconds() < end; );
}
/** A sleep of `length` microseconds, for something that was committed at its begin or at its end. */
function sleep(spin: Spin, length: number, committed: 'at once' | 'late'): void {
  let began: number;
  let atOnce: number;
  do {
    began = monotonicMicroseconds();
    spin.begin();
    spin.sleeps();
    atOnce = commitTime();
  } while (monotonicMicroseconds() - began > 20); // this thread was interrupted
  pass(length);
  spin.woken(committed === 'at once' ? atOnce : commitTime());
}

test('Spin: looks in vain end the looking', { skip }, () => {
  discouraged();
});
test('Spin: one wait that was long only because of the wake-up makes it look again', { skip }, () => {
  const spin = discouraged();
  sleep(spin, 10_000, 'at once');
  assert.equal(spin.worthwhile, true);
});
test('Spin: a wait that nobody could have shortened does not make it look again', { skip }, () => {
  const spin = discouraged();
  sleep(spin, 10_000, 'late');
  assert.equal(spin.worthwhile, false);
});
test('Spin: long sleeps end the looking without a look', { skip }, () => {
  const spin = new Spin();
  for (let i = 0; i < 100 && spin.worthwhile; i++) sleep(spin, 200, 'late');
  assert.equal(spin.worthwhile, false);
});
test('Spin: a time that was not noted for this sleep changes nothing', { skip }, () => {
  const spin = discouraged();
  for (const time of [0, 1, -1, 0x7fffffff, -0x80000000, commitTime() - 1e6, commitTime() + 1e6]) {
    spin.begin();
    spin.sleeps();
    spin.woken(time | 0);
    assert.equal(spin.worthwhile, false, `${time}`);
  }
});
test('Spin: what is committed after a late wake-up bears the time that it would have had', { skip }, () => {
  const spin = new Spin();
  spin.begin();
  spin.sleeps();
  const committed = commitTime();
  pass(100);
  spin.woken(committed);
  const noted = commitTime();
  const late = ((monotonicMicroseconds() | 0) - noted) | 0;
  assert.ok(late >= 100, `${late}`);
  spin.begin();
  spin.sleeps();
  const before = monotonicMicroseconds() | 0;
  assert.ok(((commitTime() - before) | 0) >= 0, 'whoever sleeps again is not late any more');
});
test('Spin: a fixed time is a fixed time', () => {
  const spin = new Spin(7);
  assert.equal(spin.begin(), 7);
  for (let i = 0; i < 100; i++) spin.missed();
  assert.equal(spin.begin(), 7);
  assert.equal(spin.another().begin(), 7);
});

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { cpus } from 'node:os';
import { test } from 'node:test';
import { native } from '#src/system/native.js';
import { Company, leaveProcessor } from '#src/system/scheduling.js';

/** This thread's mask of processors. */
function affinity(): Uint8Array {
  const room = new Uint8Array(8192);
  const length = native.schedGetaffinity(room);
  assert.ok(length > 0, `sched_getaffinity: ${length}`);
  return room.subarray(0, length);
}
/** So many switches of 10 µs, `apart` microseconds between them: how many times company was met. */
function switches(company: Company, count: number, apart: number): number {
  let found = 0;
  for (let i = 0, now = 0; i < count; i++, now += apart) if (company.met(now, now + 10)) found++;
  return found;
}

test('Scheduling: a thread that lets another run again and again has company', () => {
  assert.equal(switches(new Company(), 7, 25), 0);
  assert.equal(switches(new Company(), 8, 25), 1);
  const found = switches(new Company(), 8 + 160, 25);
  assert.ok(found > 10 && found <= 21, `${found}`);
});
test('Scheduling: a switch now and then is no company', () => {
  assert.equal(switches(new Company(), 1_000, 2_000), 0);
});
test('Scheduling: who yields to nobody has no company', () => {
  const company = new Company();
  for (let now = 0; now < 100_000; now += 2) assert.equal(company.met(now, now + 0.5), false);
});
test('Scheduling: a thread that moves to another processor is not restricted by that', () => {
  const before = affinity();
  for (let i = 0; i < 20; i++) leaveProcessor();
  assert.deepEqual(affinity(), before);
});
test('Scheduling: a thread that somebody has restricted stays there', {
  skip: cpus().length < 2 && 'one processor',
}, () => {
  const before = affinity();
  const one = new Uint8Array(before.length);
  const here = native.getcpu();
  one[here >> 3] = 1 << (here & 7);
  assert.equal(native.schedSetaffinity(one), 0);
  try {
    for (let i = 0; i < 20; i++) assert.equal(leaveProcessor(), false);
    assert.deepEqual(affinity(), one);
    assert.equal(native.getcpu(), here);
  } finally {
    assert.equal(native.schedSetaffinity(new Uint8Array(before.length).fill(0xff)), 0);
  }
  assert.deepEqual(affinity(), before);
});

/** How long the blocking forms of the locks look before they sleep. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { Looking } from '#src/sync/looking.js';

const several = { skip: availableParallelism() < 2 && 'nobody looks on one processor' };
/** The looks of a wait in which nothing comes before the thread sleeps. */
function inVain(looking: Looking): number {
  let looks = 0;
  assert.equal(
    looking.until(() => ++looks < 0),
    false,
  );
  looking.sleeps();
  looking.ended(true);
  return looks;
}
/** A wait that ends at the given look, without a sleep. */
function paid(looking: Looking, at: number): void {
  let looks = 0;
  assert.equal(
    looking.until(() => ++looks === at),
    true,
  );
  looking.ended(true);
}

test('Looking: where it never pays, all but one of 32 waits look briefly', several, () => {
  const looking = new Looking();
  const long = inVain(looking);
  const first = Array.from({ length: 32 }, () => inVain(looking));
  const brief = Math.min(...first);
  assert.ok(brief * 4 < long, `${brief} and ${long} looks`);
  const later = Array.from({ length: 320 }, () => inVain(looking));
  assert.deepEqual([later.filter((looks) => looks === long).length, new Set(later).size], [10, 2]);
});
test('Looking: where it pays in one of three waits, all look for long', several, () => {
  const looking = new Looking();
  const long = inVain(looking);
  for (let i = 0; i < 100; i++) {
    paid(looking, long - 1);
    assert.deepEqual([inVain(looking), inVain(looking)], [long, long]);
  }
});
test('Looking: where it pays again, one trial begins it', several, () => {
  const looking = new Looking();
  const long = inVain(looking);
  while (inVain(looking) === long);
  for (let looks = 0, found = false; !found; looks = 0) {
    found = looking.until(() => ++looks === long - 1);
    if (found) looking.ended(true);
    else looking.sleeps();
  }
  assert.equal(inVain(looking), long);
});
test('Looking: what was found and lost to somebody else uses up the same long look, and pays nothing', several, () => {
  const looking = new Looking();
  const long = inVain(looking);
  while (inVain(looking) === long);
  for (let wait = 0; wait < 64; wait++) {
    let looks = 0;
    let finds = 0;
    while (looking.until(() => ++looks % 500 === 0)) assert.ok(++finds < long);
    looking.sleeps();
    looking.ended(true);
  }
  const after = Array.from({ length: 64 }, () => inVain(looking));
  assert.equal(after.filter((looks) => looks === long).length, 2);
});

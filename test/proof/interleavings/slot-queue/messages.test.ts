/**
 * Producers, consumers and whoever recovers what the dead had in hand, in every order with up to two or three interruptions, and any of
 * them killed anywhere: each message is delivered to one of them, or is still there, once.
 */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { play, type Role } from './scene.js';

test('Queue: each message goes to one, and none is lost', (t) => {
  t.diagnostic(`${play(4, [{ puts: 2 }, { looks: 3 }], { interruptions: 3 })} orders`);
  t.diagnostic(`${play(4, [{ puts: 1 }, { puts: 1 }, { looks: 2 }], { interruptions: 2 })} orders`);
  t.diagnostic(`${play(4, [{ puts: 2 }, { looks: 2 }, { looks: 2 }], { interruptions: 2 })} orders`);
});
test('Queue: a slot is used again while somebody still looks at what was in it', (t) => {
  t.diagnostic(`${play(1, [{ puts: 2 }, { looks: 2 }, { looks: 2 }], { interruptions: 3 })} orders`);
});
test('Queue: what is given back is taken again, in one place', (t) => {
  t.diagnostic(`${play(4, [{ puts: 2 }, { looks: 2, gives: 1 }, { looks: 2 }], { interruptions: 2 })} orders`);
});
test('Queue: no wake-up is lost', (t) => {
  t.diagnostic(`${play(4, [{ puts: 2 }, { waitsFor: 2 }], { interruptions: 3 })} orders`);
  t.diagnostic(`${play(4, [{ puts: 1 }, { puts: 1 }, { waitsFor: 1 }, { waitsFor: 1 }], { interruptions: 2 })} orders`);
});
test('Queue: nor one of a producer that waits for room', (t) => {
  t.diagnostic(`${play(1, [{ putsAsleep: 2 }, { waitsFor: 2 }], { interruptions: 3 })} orders`);
  t.diagnostic(`${play(1, [{ putsAsleep: 1 }, { putsAsleep: 1 }, { waitsFor: 2 }], { interruptions: 2 })} orders`);
  const kills = { most: 1, of: [1] };
  t.diagnostic(`${play(1, [{ putsAsleep: 3 }, { waitsFor: 3 }], { interruptions: 2, kills })} orders`);
});
test('Queue: the explorer finds a producer that sleeps without a barrier that reaches who acknowledges', () => {
  assert.throws(
    () => play(1, [{ putsAsleep: 3 }, { waitsFor: 3 }], { interruptions: 2, barriers: false }),
    (error: Error) => /sleeps for ever/.test(error.message),
  );
});
test('Queue: a producer or a consumer is killed anywhere, and what it had in hand is recovered, once', (t) => {
  const kills = { most: 1, of: [0, 1] };
  t.diagnostic(`${play(4, [{ puts: 2 }, { looks: 2 }, 'recovers'], { interruptions: 2, kills })} orders`);
  t.diagnostic(`${play(4, [{ puts: 2 }, { looks: 2, gives: 1 }, 'recovers'], { interruptions: 2, kills })} orders`);
  t.diagnostic(`${play(4, [{ puts: 2 }, { waitsFor: 2 }], { interruptions: 3, kills: { most: 1, of: [0] } })} orders`);
});
test('Queue: also by two at once, of whom one is killed while it does it', (t) => {
  const kills = { most: 2, of: [0, 1, 2] };
  t.diagnostic(`${play(4, [{ looks: 1 }, 'recovers', 'recovers', { puts: 2 }], { interruptions: 2, kills })} orders`);
  t.diagnostic(`${play(4, [{ puts: 1 }, { looks: 1 }, 'recovers', 'recovers'], { interruptions: 2, kills })} orders`);
});
test('Queue: whoever takes the seat of the dead is not taken for him', (t) => {
  const kills = { most: 1, of: [0] };
  const roles: Role[] = [{ looks: 1 }, 'recovers', { succeeds: 0 }];
  t.diagnostic(`${play(4, roles, { interruptions: 3, kills, present: 1 })} orders`);
});

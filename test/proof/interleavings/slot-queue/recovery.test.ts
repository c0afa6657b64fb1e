/**
 * Recovery that is itself killed, before each access and with up to two of those who recover: what the dead had in hand comes back once, and
 * in its place.
 */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POSITION, planOf, SENT, STATE } from '#src/lock-free/slot-queue/layout.js';
import { type Beginning, play, type Role } from './scene.js';

/** The slots of earlier messages say 0: a position that was not written would come before all others. */
const position = 100;
/** Has one message in hand, and has claimed two more of which the index has the entries still. */
const left: Beginning['left'] = (messages) => {
  assert.ok(messages.take(undefined) >= 0);
  const entries: [slot: number, word: number][] = [];
  messages.indexes[0]!.each((slot) => entries.push([slot, messages.words[messages.plan.states + slot]!]));
  for (const [slot, word] of entries.slice(0, 2)) {
    assert.equal(word & STATE, SENT);
    assert.notEqual(messages.adopt(slot, word), 0);
  }
};

test('Queue recovery: killed anywhere, it leaves the messages in their order for the next', (t) => {
  const about = { position, present: 4, left };
  const kills = { most: 2, of: [0, 1] };
  t.diagnostic(`${play(4, ['only recovers', 'only recovers'], { interruptions: 2, kills, ...about })} orders`);
  t.diagnostic(`${play(4, ['recovers', { looks: 2, gives: 1 }], { interruptions: 2, kills, ...about })} orders`);
});
test('Queue recovery: a consumer that is stopped or killed while the index comes round keeps its message in its place', (t) => {
  // Each of 40 messages is put and taken, so that the ring of 32 entries comes round to the first one.
  const role = { puts: 34, takes: 'after' } as const;
  const kills = { most: 1, of: [0] };
  const about = { position, present: 2, interruptions: 1, kills };
  t.diagnostic(`${play(4, [{ looks: 1, gives: 1 }, role], about)} orders`);
});
/** Positions in the slots that are later ones, and the wrong way round. */
const prime: Beginning['prime'] = (words, { slots, stride, capacity }) => {
  for (let slot = 0; slot < capacity; slot++) words[slots + slot * stride + POSITION] = position + 1000 - slot;
};
test('Queue recovery: the explorer finds a producer that commits before it has written the position', () => {
  const { slots, stride } = planOf({ capacity: 4, messageSize: 8, priorities: 1 });
  const lost = (index: number) => index >= slots && (index - slots) % stride === POSITION;
  const roles: Role[] = [{ puts: 2 }, { looks: 2, gives: 2 }];
  play(4, roles, { position, prime, interruptions: 2 });
  assert.throws(
    () => play(4, roles, { position, prime, interruptions: 2, lost }),
    (error: Error) => /out of order/.test(error.message),
  );
});

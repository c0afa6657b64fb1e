/** Queues that have passed 2^31 and 2^32 messages: each message keeps its place, whoever opens the queue there. */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HINTS, POSITION, TAIL_HINT } from '#src/lock-free/slot-queue/layout.js';
import { Messages } from '#src/lock-free/slot-queue/messages.js';
import { play, type Role } from './scene.js';

for (const [name, edge] of [
  ['2^31', 2 ** 31],
  ['2^32', 2 ** 32],
] as const) {
  test(`Queue positions: past ${name} messages go to one, in their order, and come back in their places`, (t) => {
    for (const position of [edge - 2, edge]) {
      const kills = { most: 1, of: [0, 1] };
      t.diagnostic(`${play(4, [{ puts: 3 }, { looks: 3 }], { interruptions: 2, position })} orders`);
      t.diagnostic(
        `${play(4, [{ puts: 2 }, { looks: 2, gives: 1 }, { looks: 2 }], { interruptions: 2, position })} orders`,
      );
      t.diagnostic(
        `${play(4, [{ looks: 2, gives: 1 }, { looks: 1 }, 'recovers'], { interruptions: 2, kills, position, present: 3 })} orders`,
      );
    }
  });
}
test('Queue positions: the explorer finds a producer that writes a position of its own', () => {
  const position = 2 ** 31 + 5;
  class Own extends Messages {
    override put(payload: Uint8Array, priority: number, type: number): boolean {
      if (!super.put(payload, priority, type)) return false;
      const { slots, stride } = this.plan;
      this.indexes[0]!.each((slot, at) => {
        if (at === (position | 0)) this.words[slots + slot * stride + POSITION] = (at - 2 ** 31) | 0;
      });
      return true;
    }
  }
  const roles: Role[] = [{ puts: 2 }, { looks: 2, gives: 2 }];
  play(4, roles, { interruptions: 1, position });
  assert.throws(
    () => play(4, roles, { interruptions: 1, position, kind: Own }),
    (error: Error) => /out of order/.test(error.message),
  );
});
test('Queue positions: the entries tell what damaged hints do not', (t) => {
  const left = (messages: Messages) => {
    assert.ok(messages.take(undefined) >= 0);
    messages.words[HINTS] = messages.words[HINTS + TAIL_HINT] = 0;
  };
  const about = { interruptions: 1, position: 2 ** 31 + 5, present: 3, left };
  t.diagnostic(`${play(4, ['recovers'], about)} orders`);
});

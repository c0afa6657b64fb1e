/** Queues that have passed 2^31 and 2^32 messages: each message keeps its place, whoever opens the queue there. */
import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HINTS, TAIL_HINT } from '#src/channel/queue/layout.js';
import { Messages } from '#src/channel/queue/messages.js';
import type { ReadyIndex } from '#src/channel/queue/ready-index.js';
import { play } from './queue-scene.js';

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
test('Queue positions: the explorer finds whoever begins at a position of its own', () => {
  const position = 2 ** 31 + 5;
  class Own extends Messages {
    override settle(slot: number, index: ReadyIndex, at: number, entry: number): void {
      super.settle(slot, index, (at - 2 ** 31) | 0, entry);
    }
  }
  /** Has claimed the first message, of which the index has the entry still. */
  const left = (messages: Messages) => {
    const index = messages.indexes[0]!;
    assert.ok(index.find(undefined));
    assert.notEqual(messages.adopt(index.slot, index.word), 0);
  };
  const about = { interruptions: 1, position, present: 3, left };
  play(4, ['recovers'], about);
  assert.throws(
    () => play(4, ['recovers'], { ...about, kind: Own }),
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

/**
 * Generations that repeat while somebody is stopped between its look at a slot and its exchange of the word: what it has seen is not taken
 * for what is there by then. Those of a seat are primed so that the same word comes again after a few messages.
 */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK, Generations } from '#src/lock-free/slot-queue/generations.js';
import {
  GENERATION_MASK,
  GENERATIONS,
  HAZARD_STRIDE,
  HAZARDS,
  HIGHEST_SEAT,
  HINTS,
  planOf,
  SENT,
  stateWord,
} from '#src/lock-free/slot-queue/layout.js';
import { type Beginning, DEAD, play, type Role } from './scene.js';

/** The generation that comes again. It begins a block, so that it is looked at just before it is used. */
const AGAIN = 5 * BLOCK;
const isLook = (index: number) => index >= HAZARDS && index < HINTS;
const wrong = (error: Error) =>
  /is lost|a message twice|a message of two|never put in|out of order|was taken/.test(error.message);

/** A message in the only slot, with a word of seat 1 that it uses again when it has written three more. */
const sent: Beginning = {
  present: 1,
  prime: (words, plan) => {
    words[plan.states] = stateWord(SENT, 1, AGAIN);
    words[GENERATIONS + 1] = AGAIN - 4;
  },
};
/** Looks; takes what is there, puts one, takes that, and puts one with the first one's word. */
const passed: Role[] = [{ looks: 1 }, { puts: 2, takes: 'before' }];

test('Queue generations: a word that somebody looked at long ago is not written again before it was exchanged', (t) => {
  t.diagnostic(`${play(1, passed, { interruptions: 3, ...sent })} orders`);
  const kills = { most: 1, of: [0, 1] };
  t.diagnostic(`${play(1, [...passed, 'recovers'], { interruptions: 2, kills, ...sent })} orders`);
});
test('Queue generations: the explorer finds a consumer that does not say what it looks at', () => {
  assert.throws(() => play(1, passed, { interruptions: 2, ...sent, lost: isLook }), wrong);
});
test('Queue generations: the explorer finds a producer whose barrier does not reach the consumer', () => {
  assert.throws(() => play(1, passed, { interruptions: 2, ...sent, barriers: false }), wrong);
});

/** The dead one has the only message in hand, by a word that whoever has its seat next would write when it takes the message. */
const taken: Beginning = {
  present: 1,
  left: (messages) => {
    assert.ok(messages.take(undefined) >= 0);
  },
  prime: (words) => {
    words[GENERATIONS + DEAD] = 0; // where the dead one began
  },
};
const succeeds: Role[] = ['only recovers', { succeeds: DEAD, recovers: true }];

test('Queue generations: nor is one of the dead, of somebody who recovers what they had', (t) => {
  t.diagnostic(`${play(1, succeeds, { interruptions: 3, ...taken })} orders`);
  const kills = { most: 2, of: [0, 1] };
  t.diagnostic(`${play(1, [...succeeds, 'recovers'], { interruptions: 2, kills, ...taken })} orders`);
});
test('Queue generations: the explorer finds one who recovers without saying what it looks at', () => {
  assert.throws(() => play(1, succeeds, { interruptions: 2, ...taken, lost: isLook }), wrong);
});

test('Queue generations: none comes that is used in a slot or about to be exchanged, however often they repeat', () => {
  const plan = planOf({ capacity: 8, messageSize: 8, priorities: 1 });
  const words = new Int32Array(plan.byteLength / 4);
  words[HIGHEST_SEAT] = 4;
  const used = [0, 1, 2, BLOCK - 1, BLOCK, 3 * BLOCK + 7, GENERATION_MASK - 1, GENERATION_MASK];
  for (const [index, generation] of used.entries()) {
    const word = stateWord(1 + (index % 3), 2, generation);
    if (index % 2 === 0) words[plan.states + index] = word;
    else words[HAZARDS + (index >> 1) * HAZARD_STRIDE + (index % 3)] = word;
  }
  words[plan.states + 1] = stateWord(SENT, 3, 77); // of another seat
  const generations = new Generations(words, plan, 2);
  const seen = new Uint8Array(GENERATION_MASK + 1);
  for (let count = 2 * (GENERATION_MASK + 1 - used.length); count > 0; count--) seen[generations.next()]!++;
  for (const [generation, times] of seen.entries())
    if (times !== (used.includes(generation) ? 0 : 2)) assert.fail(`${generation} came ${times} times`);
});

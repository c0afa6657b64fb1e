/**
 * A seat that changes hands while its sleeper is being woken, in every order with up to four interruptions, and with a waker killed
 * anywhere: whoever has the seat next does not sleep beside a message.
 */
import '../../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONSUMER_TICKETS, CONSUMERS, HIGHEST_SEAT, LAST_TICKET } from '#src/lock-free/slot-queue/layout.js';
import { WaiterTable } from '#src/lock-free/slot-queue/waiter-table.js';
import { type Exploration, explore } from '../explore.js';
import { Machine, type Process, type Program } from '../machine.js';

/** A word that nothing else uses: how much was sent. */
const SENT = CONSUMER_TICKETS + 16;
const SEATS = 8;

interface Case {
  wakers: number;
  /** How many have the sleeper's seat, one after the other. Each waits until so much was sent as it is the how manieth. */
  owners: number;
}
function scene({ wakers, owners }: Case): { machine: Machine; programs: Program[] } {
  const initial = new Int32Array(SENT + 1);
  initial[HIGHEST_SEAT] = SEATS;
  const machine = new Machine(new Uint8Array(initial.buffer));
  const { words } = machine;
  const sit = (seat: number) =>
    machine.construct(() => new WaiterTable(words, CONSUMERS, CONSUMER_TICKETS, seat, (other) => machine.ring(other)));
  const others = Array.from({ length: wakers }, (_, index) => index + 1);

  const sleep: Program = (report) => {
    const living = new Set(others);
    for (let owner = 1; owner <= owners; owner++) {
      report[0] = owner;
      machine.renewBell();
      const sleepers = sit(0);
      const enough = () => Atomics.load(words, SENT) >= owner;
      while (!enough()) {
        sleepers.announce();
        if (!enough() && !machine.sleep([...living])) {
          for (const other of others) if (machine.isDead(other)) living.delete(other);
        }
        sleepers.withdraw();
      }
    }
  };
  const send =
    (seat: number): Program =>
    () => {
      const sleepers = sit(seat);
      Atomics.add(words, SENT, 1);
      if (sleepers.some) sleepers.wake(2);
    };
  return { machine, programs: [sleep, ...others.map(send)] };
}
function all(about: Case, more: Pick<Exploration, 'interruptions' | 'kills'>, lost?: number): number {
  const { machine, programs } = scene(about);
  if (lost !== undefined) machine.lost = (index) => index === lost;
  const check = ([sleeper, ...wakers]: readonly Process[]) => {
    if (sleeper!.state === 'done') return;
    assert.ok(machine.words[SENT]! < (sleeper!.report[0] as number), 'sleeps for ever beside a message');
    assert.ok(wakers.some(({ state }) => state === 'dead'));
  };
  return explore({ machine, programs, check, ...more });
}

test('Queue sleepers: whoever has a seat next is woken for what is sent to it, not taken for its predecessor', (t) => {
  t.diagnostic(`${all({ wakers: 2, owners: 2 }, { interruptions: 4 })} orders`);
  t.diagnostic(`${all({ wakers: 3, owners: 3 }, { interruptions: 2 })} orders`);
});
test('Queue sleepers: nor when a waker is killed anywhere', (t) => {
  t.diagnostic(`${all({ wakers: 2, owners: 2 }, { interruptions: 3, kills: { most: 1, of: [1, 2] } })} orders`);
});
test('Queue sleepers: the explorer finds tickets that begin anew with each owner of a seat', () => {
  assert.throws(
    () => all({ wakers: 2, owners: 2 }, { interruptions: 2 }, CONSUMERS + LAST_TICKET),
    (error: Error) => /sleeps for ever/.test(error.message),
  );
});

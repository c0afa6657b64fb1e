/**
 * Producers, consumers and whoever recovers what the dead had in hand, in every order with up to two or three interruptions, and any of
 * them killed anywhere: each message is delivered to one of them, or is still there, once.
 */
import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Place } from '#src/channel/place/place.js';
import { CONSUMER_TICKETS, CONSUMERS, planOf } from '#src/channel/queue/layout.js';
import { Messages } from '#src/channel/queue/messages.js';
import { enter, leave, recover } from '#src/channel/queue/recovery.js';
import { Sleepers } from '#src/channel/queue/sleepers.js';
import { type Exploration, explore } from './explore.js';
import { Machine, type Process, type Program } from './machine.js';

/** The seat of whoever looks when all is over. */
const LAST = 7;
type Role =
  | { readonly puts: number }
  /** Looks so many times, without waiting; gives back, instead of acknowledging, so many. */
  | { readonly looks: number; readonly gives?: number }
  /** Sleeps until it has had so many, or somebody dies. */
  | { readonly waitsFor: number }
  /** Recovers, and looks once. */
  | 'recovers'
  /** Takes the seat of somebody who has died, if he has, and looks once. */
  | { readonly succeeds: number };
type Event = { readonly put: number } | { readonly taken: number } | { readonly over: number };

const payload = (id: number) => new Uint8Array(Int32Array.of(id, ~id).buffer);

class Scene {
  readonly machine: Machine;
  readonly programs: Program[];
  readonly #plan;
  /** Who has locked which seat, of each run. */
  readonly #holders = new WeakMap<Process, Map<number, number>>();

  /** @param present messages that are there from the beginning */
  constructor(capacity: number, roles: readonly Role[], present: number) {
    this.#plan = planOf({ capacity, messageSize: 8, priorities: 1 });
    const buffer = new ArrayBuffer(this.#plan.byteLength);
    const messages = new Messages(buffer, this.#plan, LAST);
    for (let number = 0; number < present; number++) assert.ok(messages.put(payload(LAST * 100 + number), 0, 0));
    this.machine = new Machine(new Uint8Array(buffer));
    this.programs = roles.map((role, seat) => (report) => this.#play(role, seat, roles.length, report as Event[]));
  }
  /** Whether a process that lives has locked the seat. */
  #isTaken(seat: number): boolean {
    return this.machine.processes[this.#locks.get(seat) ?? seat]?.state !== 'dead';
  }
  get #locks(): Map<number, number> {
    const [first] = this.machine.processes;
    let locks = this.#holders.get(first!);
    if (locks === undefined) this.#holders.set(first!, (locks = new Map()));
    return locks;
  }
  #play(role: Role, index: number, seats: number, report: Event[]): void {
    const seat = typeof role === 'object' && 'succeeds' in role ? role.succeeds : index;
    if (seat !== index) {
      if (!this.machine.call(() => !this.#isTaken(seat) && this.#locks.set(seat, index) !== undefined)) return;
      const messages = this.machine.construct(() => new Messages(this.machine.buffer, this.#plan, seat));
      enter(messages, seat);
      this.take(messages, report, false);
      leave(messages, seat);
      return;
    }
    const messages = this.sit(seat);
    const { machine } = this;
    const sleepers = machine.construct(
      () => new Sleepers(machine.words, CONSUMERS, CONSUMER_TICKETS, seat, (other) => machine.ring(other)),
    );
    if (role === 'recovers') {
      recover(
        this.place(seat, (other) => machine.call(() => this.#isTaken(other))),
        messages,
      );
      this.take(messages, report, false);
    } else if ('puts' in role) {
      for (let number = 0; number < role.puts; number++) {
        const id = seat * 100 + number;
        if (!messages.put(payload(id), 0, 0)) continue; // full
        report.push({ put: id });
        if (sleepers.some) sleepers.wake(2);
      }
    } else if ('looks' in role) {
      let gives = role.gives ?? 0;
      for (let look = 0; look < role.looks; look++) {
        if (this.take(messages, report, gives > 0)) gives--;
      }
    } else if ('waitsFor' in role) {
      const others = Array.from({ length: seats }, (_, other) => other).filter((other) => other !== seat);
      for (let had = 0; had < role.waitsFor; ) {
        if (this.take(messages, report, false)) {
          had++;
          continue;
        }
        sleepers.announce();
        const found = this.take(messages, report, false);
        if (found) had++;
        else if (!machine.sleep(others)) return;
        sleepers.withdraw();
      }
    }
    leave(messages, seat);
  }
  /** Takes a seat in the memory, without being observed. */
  sit(seat: number): Messages {
    return this.machine.construct(() => {
      const messages = new Messages(this.machine.buffer, this.#plan, seat);
      enter(messages, seat);
      return messages;
    });
  }
  place(seat: number, isTaken: (seat: number) => boolean): Place {
    return { seat, isTaken } as unknown as Place;
  }
  take(messages: Messages, report: Event[], give: boolean): boolean {
    const slot = messages.take(undefined);
    if (slot < 0) return false;
    const { word } = messages;
    assert.equal(messages.length, 8);
    const at = messages.offsetOf(slot) >> 2;
    const [id, check] = [messages.words[at]!, messages.words[at + 1]!];
    assert.equal(check, ~id, 'a message of two');
    report.push({ taken: id });
    if (give) messages.giveBack(slot, word);
    else {
      messages.acknowledge(slot, word);
      report.push({ over: id });
    }
    return true;
  }
  /** What is there at the end, for somebody who comes anew. */
  rest(): number[] {
    const messages = this.sit(LAST);
    recover(
      this.place(LAST, (seat) => this.#isTaken(seat)),
      messages,
    );
    const events: Event[] = [];
    while (this.take(messages, events, false));
    assert.deepEqual(messages.count(), { ready: 0, inFlight: 0 });
    // Every slot is free again.
    for (let left = this.#plan.capacity; left > 0; left--) assert.ok(messages.put(new Uint8Array(8), 0, 0));
    return events.flatMap((event) => ('over' in event ? [event.over] : []));
  }
}
function play(
  capacity: number,
  roles: Role[],
  { present = 0, ...more }: Pick<Exploration, 'interruptions' | 'kills'> & { present?: number },
): number {
  const scene = new Scene(capacity, roles, present);
  const check = (processes: readonly Process[]) => {
    for (const { index, state } of processes) assert.notEqual(state, 'blocked', `${index} sleeps for ever`);
    const there = Array.from({ length: present }, (_, number): Event => ({ put: LAST * 100 + number }));
    const everything = [...there, ...processes.flatMap(({ report }) => report as Event[])];
    const over = everything.flatMap((event) => ('over' in event ? [event.over] : []));
    const rest = scene.rest();
    const ended = [...over, ...rest];
    assert.equal(new Set(ended).size, ended.length, `a message twice: ${over} and then ${rest}`);
    // Who was killed may have put one in, or acknowledged one, and not have come to say so.
    const unsaid = new Set(
      processes.flatMap(({ state, report }) => {
        const last = (report as Event[]).at(-1);
        return state === 'dead' && last !== undefined && 'taken' in last ? [last.taken] : [];
      }),
    );
    for (const event of everything) {
      if ('put' in event && !unsaid.has(event.put)) assert.ok(ended.includes(event.put), `${event.put} is lost`);
    }
    const put = new Set(everything.flatMap((event) => ('put' in event ? [event.put] : [])));
    for (const id of ended) {
      if (put.has(id)) continue;
      assert.equal(processes[Math.floor(id / 100)]!.state, 'dead', `${id} was never put in`);
    }
    // One producer's messages come in their order, unless they were given back.
    if (
      processes.every(({ state }) => state === 'done') &&
      !roles.some((role) => typeof role === 'object' && 'gives' in role)
    ) {
      for (const { report } of processes) {
        const taken = (report as Event[]).flatMap((event) => ('taken' in event ? [event.taken] : []));
        for (const [index, id] of taken.entries()) {
          const later = taken.slice(index).filter((other) => Math.floor(other / 100) === Math.floor(id / 100));
          assert.ok(
            later.every((other) => other >= id),
            `${taken}`,
          );
        }
      }
    }
  };
  return explore({ machine: scene.machine, programs: scene.programs, check, ...more });
}

test('each message goes to one, and none is lost', (t) => {
  t.diagnostic(`${play(4, [{ puts: 2 }, { looks: 3 }], { interruptions: 3 })} orders`);
  t.diagnostic(`${play(4, [{ puts: 1 }, { puts: 1 }, { looks: 2 }], { interruptions: 2 })} orders`);
  t.diagnostic(`${play(4, [{ puts: 2 }, { looks: 2 }, { looks: 2 }], { interruptions: 2 })} orders`);
});
test('a slot is used again while somebody still looks at what was in it', (t) => {
  t.diagnostic(`${play(1, [{ puts: 2 }, { looks: 2 }, { looks: 2 }], { interruptions: 3 })} orders`);
});
test('what is given back is taken again, in one place', (t) => {
  t.diagnostic(`${play(4, [{ puts: 2 }, { looks: 2, gives: 1 }, { looks: 2 }], { interruptions: 2 })} orders`);
});
test('no wake-up is lost', (t) => {
  t.diagnostic(`${play(4, [{ puts: 2 }, { waitsFor: 2 }], { interruptions: 3 })} orders`);
  t.diagnostic(`${play(4, [{ puts: 1 }, { puts: 1 }, { waitsFor: 1 }, { waitsFor: 1 }], { interruptions: 2 })} orders`);
});
test('a producer or a consumer is killed anywhere, and what it had in hand is recovered, once', (t) => {
  const kills = { most: 1, of: [0, 1] };
  t.diagnostic(`${play(4, [{ puts: 2 }, { looks: 2 }, 'recovers'], { interruptions: 2, kills })} orders`);
  t.diagnostic(`${play(4, [{ puts: 2 }, { looks: 2, gives: 1 }, 'recovers'], { interruptions: 2, kills })} orders`);
  t.diagnostic(`${play(4, [{ puts: 2 }, { waitsFor: 2 }], { interruptions: 3, kills: { most: 1, of: [0] } })} orders`);
});
test('also by two at once, of whom one is killed while it does it', (t) => {
  const kills = { most: 2, of: [0, 1, 2] };
  t.diagnostic(`${play(4, [{ looks: 1 }, 'recovers', 'recovers', { puts: 2 }], { interruptions: 2, kills })} orders`);
  t.diagnostic(`${play(4, [{ puts: 1 }, { looks: 1 }, 'recovers', 'recovers'], { interruptions: 2, kills })} orders`);
});
test('whoever takes the seat of the dead is not taken for him', (t) => {
  const kills = { most: 1, of: [0] };
  const roles: Role[] = [{ looks: 1 }, 'recovers', { succeeds: 0 }];
  t.diagnostic(`${play(4, roles, { interruptions: 3, kills, present: 1 })} orders`);
});

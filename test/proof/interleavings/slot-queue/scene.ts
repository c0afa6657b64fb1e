/** What producers, consumers and those who recover do in scenes of a queue, and what must have come of it. */
import assert from 'node:assert/strict';
import type { Participant } from '#src/channel/directory/participant.js';
import {
  CONSUMER_TICKETS,
  CONSUMERS,
  type Plan,
  PRODUCER_TICKETS,
  PRODUCERS,
  planOf,
} from '#src/lock-free/slot-queue/layout.js';
import { Messages } from '#src/lock-free/slot-queue/messages.js';
import { enter, leave, recover } from '#src/lock-free/slot-queue/recovery.js';
import { WaiterTable } from '#src/lock-free/slot-queue/waiter-table.js';
import { primePosition } from '../../../support/queue.js';
import { withBarriersOf } from '../barrier.js';
import { type Exploration, explore } from '../explore.js';
import { Machine, type Process, type Program } from '../machine.js';

/** The seat of whoever looks when all is over, and of somebody who died before the beginning. */
export const LAST = 7;
export const DEAD = 6;
export type Role =
  /** Puts so many, and takes one before or after each. */
  | { readonly puts: number; readonly takes?: 'before' | 'after' }
  /** Looks so many times, without waiting; gives back, instead of acknowledging, so many. */
  | { readonly looks: number; readonly gives?: number }
  /** Sleeps until it has had so many, or somebody dies. */
  | { readonly waitsFor: number }
  /** Sleeps, while there is no room, until it has put so many, or somebody dies. */
  | { readonly putsAsleep: number }
  /** Recovers, and looks once. */
  | 'recovers'
  | 'only recovers'
  /** Takes the seat of somebody who has died, if he has, and looks once; if it `recovers`, it has done that before. */
  | { readonly succeeds: number; readonly recovers?: boolean };
type Event = { readonly put: number } | { readonly taken: number } | { readonly over: number };

const payload = (id: number) => new Uint8Array(Int32Array.of(id, ~id).buffer);

/** What is there before anybody begins, and what is planted. */
export interface Beginning {
  /** Messages. */
  readonly present?: number;
  /** Of the first message. */
  readonly position?: number;
  /** What somebody has done who died before the beginning. */
  readonly left?: (messages: Messages) => void;
  /** Changes the memory when all of that is done. */
  readonly prime?: (words: Int32Array, plan: Plan) => void;
  /** A planted fault: membarrier does nothing. */
  readonly barriers?: boolean;
  /** A planted fault: what those who play use instead of {@link Messages}. */
  readonly kind?: typeof Messages;
  /** A planted fault, see {@link Machine.lost}. */
  readonly lost?: (index: number) => boolean;
}

class Scene {
  readonly machine: Machine;
  readonly programs: Program[];
  readonly #plan;
  readonly #kind: typeof Messages;
  /** Who has locked which seat, of each run. */
  readonly #holders = new WeakMap<Process, Map<number, number>>();

  constructor(capacity: number, roles: readonly Role[], about: Beginning) {
    const { present = 0, position = 0, left } = about;
    this.#kind = about.kind ?? Messages;
    this.#plan = planOf({ capacity, messageSize: 8, priorities: 1 });
    const buffer = new ArrayBuffer(this.#plan.byteLength);
    primePosition(new Int32Array(buffer), this.#plan, 0, position);
    const messages = new Messages(buffer, this.#plan, LAST);
    for (let number = 0; number < present; number++) assert.ok(messages.put(payload(LAST * 100 + number), 0, 0));
    if (left !== undefined) {
      const dead = new Messages(buffer, this.#plan, DEAD);
      enter(dead, DEAD);
      left(dead);
    }
    about.prime?.(new Int32Array(buffer), this.#plan);
    this.machine = new Machine(new Uint8Array(buffer));
    this.machine.barriers = about.barriers ?? true;
    this.machine.lost = about.lost ?? (() => false);
    this.programs = roles.map((role, seat) => (report) => this.#play(role, seat, roles.length, report as Event[]));
  }
  /** Whether a process that lives has locked the seat. */
  #isTaken(seat: number): boolean {
    if (seat === DEAD && !this.#locks.has(seat)) return false;
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
      if (typeof role === 'object' && 'recovers' in role) this.recover(index, this.sit(index));
      if (!this.machine.call(() => !this.#isTaken(seat) && this.#locks.set(seat, index) !== undefined)) return;
      const messages = this.machine.construct(() => new this.#kind(this.machine.buffer, this.#plan, seat));
      enter(messages, seat);
      this.take(messages, report, false);
      leave(messages, seat);
      return;
    }
    const messages = this.sit(seat);
    const { machine } = this;
    const others = Array.from({ length: seats }, (_, other) => other).filter((other) => other !== seat);
    const sleepers = machine.construct(
      () => new WaiterTable(machine.words, CONSUMERS, CONSUMER_TICKETS, seat, (other) => machine.ring(other)),
    );
    const producers = this.#producersOf(seat);
    if (typeof role === 'string') {
      this.recover(seat, messages);
      if (role === 'recovers') this.take(messages, report, false);
    } else if ('puts' in role) {
      for (let number = 0; number < role.puts; number++) {
        const id = seat * 100 + number;
        if (role.takes === 'before') this.take(messages, report, false);
        if (!messages.put(payload(id), 0, 0)) continue; // full
        report.push({ put: id });
        if (sleepers.some) sleepers.wake(2);
        if (role.takes === 'after') this.take(messages, report, false);
      }
    } else if ('looks' in role) {
      let gives = role.gives ?? 0;
      for (let look = 0; look < role.looks; look++) {
        if (this.take(messages, report, gives > 0, producers)) gives--;
      }
    } else if ('putsAsleep' in role) {
      const put = (number: number) => {
        if (!messages.put(payload(seat * 100 + number), 0, 0)) return false;
        report.push({ put: seat * 100 + number });
        if (sleepers.some) sleepers.wake(2);
        return true;
      };
      for (let number = 0; number < role.putsAsleep; ) {
        if (put(number)) {
          number++;
          continue;
        }
        producers.announce();
        if (put(number)) number++;
        else if (!machine.sleep(others)) return;
        producers.withdraw();
      }
    } else if ('waitsFor' in role) {
      for (let had = 0; had < role.waitsFor; ) {
        if (this.take(messages, report, false, producers)) {
          had++;
          continue;
        }
        sleepers.announce();
        const found = this.take(messages, report, false, producers);
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
      const messages = new this.#kind(this.machine.buffer, this.#plan, seat);
      enter(messages, seat);
      return messages;
    });
  }
  #producersOf(seat: number): WaiterTable {
    const { machine } = this;
    return machine.construct(
      () => new WaiterTable(machine.words, PRODUCERS, PRODUCER_TICKETS, seat, (other) => machine.ring(other), true),
    );
  }
  recover(seat: number, messages: Messages): void {
    recover(
      this.participant(seat, (other) => this.machine.call(() => this.#isTaken(other))),
      messages,
    );
  }
  participant(seat: number, isTaken: (seat: number) => boolean): Participant {
    return { seat, isTaken } as unknown as Participant;
  }
  /** Takes one. `producers` are woken if there is room then. */
  take(messages: Messages, report: Event[], give: boolean, producers?: WaiterTable): boolean {
    const slot = messages.take(undefined);
    if (slot < 0) return false;
    const { word } = messages;
    assert.equal(messages.length, 8);
    const at = messages.offsetOf(slot) >> 2;
    const [id, check] = [messages.words[at]!, messages.words[at + 1]!];
    assert.equal(check, ~id, 'a message of two');
    report.push({ taken: id });
    if (give) messages.redeliver(slot, word);
    else {
      messages.acknowledge(slot, word);
      if (producers?.some) producers.wake(2);
      this.machine.call(() => {}); // whoever is killed before has not come to say so, with its last stores or without
      report.push({ over: id });
    }
    return true;
  }
  /** What is there at the end, for somebody who comes anew. */
  rest(): number[] {
    const messages = this.sit(LAST);
    recover(
      this.participant(LAST, (seat) => this.#isTaken(seat)),
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
/** Explores what is played; each message is delivered to one, or is still there, once and in its place. */
export function play(
  capacity: number,
  roles: Role[],
  { interruptions, kills, ...about }: Pick<Exploration, 'interruptions' | 'kills'> & Beginning,
): number {
  const { present = 0 } = about;
  const scene = new Scene(capacity, roles, about);
  const check = (processes: readonly Process[]) => {
    for (const { index, state } of processes) assert.notEqual(state, 'blocked', `${index} sleeps for ever`);
    const there = Array.from({ length: present }, (_, number): Event => ({ put: LAST * 100 + number }));
    const everything = [...there, ...processes.flatMap(({ report }) => report as Event[])];
    const over = everything.flatMap((event) => ('over' in event ? [event.over] : []));
    const rest = scene.rest();
    const ended = [...over, ...rest];
    assertInOrder(rest);
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
        assertInOrder(taken);
      }
    }
  };
  const { machine, programs } = scene;
  const more = kills === undefined ? {} : { kills: { ...kills, between: true } };
  return withBarriersOf(machine, () => explore({ machine, programs, check, interruptions, ...more }));
}
/** Those of one producer. */
function assertInOrder(ids: readonly number[]): void {
  for (const [index, id] of ids.entries()) {
    const later = ids.slice(index).filter((other) => Math.floor(other / 100) === Math.floor(id / 100));
    assert.ok(
      later.every((other) => other >= id),
      `out of order: ${ids}`,
    );
  }
}

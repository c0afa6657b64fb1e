/** What locks promise, as notes of those who hold them: who may be inside with whom, and that what a dead one left is told. */
import assert from 'node:assert/strict';
import type { Guard } from 'vecino/sync';
import { type Exploration, explore } from './explore.js';
import { type Faults, gaps, LOOK_AGAIN, memoryOf, prepare, threaded } from './kernel.js';
import { Machine, type Process, type Program } from './machine.js';

/** Of one run. */
interface Scene {
  readonly inside: Map<number, 'shared' | 'alone'>;
  /** Somebody has begun a change and not ended it. */
  half: boolean;
}
export class Exclusion {
  readonly machine: Machine;
  readonly #scenes = new WeakMap<Process, Scene>();

  /** @param make makes the lock at the beginning of a memory of so many bytes */
  constructor(
    bytes: number,
    make: (memory: ReturnType<typeof memoryOf>) => void,
    prime: (words: Int32Array) => void = () => {},
  ) {
    const buffer = new ArrayBuffer(bytes);
    prepare(() => make(memoryOf(buffer)));
    prime(new Int32Array(buffer));
    this.machine = new Machine(new Uint8Array(buffer));
  }
  get #scene(): Scene {
    const [first] = this.machine.processes;
    let scene = this.#scenes.get(first!);
    if (scene === undefined) this.#scenes.set(first!, (scene = { inside: new Map(), half: false }));
    return scene;
  }
  /** Whoever died has begun a change and not ended it. */
  leaveHalf(): void {
    this.#scene.half = true;
  }
  /** Goes in with that guard, lets the others try, and comes out. Whoever is alone begins a change and ends it. */
  visit(guard: Guard, how: 'shared' | 'alone', repairs = true): void {
    const { machine } = this;
    const { ownerDied } = guard;
    const { index } = machine.running!;
    machine.note(() => {
      const scene = this.#scene;
      for (const [other, its] of scene.inside) {
        if (machine.processes[other]!.state === 'dead') continue;
        assert.ok(how === 'shared' && its === 'shared', `${index} (${how}) is inside with ${other} (${its})`);
      }
      assert.ok(!scene.half || ownerDied, `${index} is not told that an owner died`);
      scene.inside.set(index, how);
      if (how === 'alone') scene.half = true;
    });
    machine.giveWay();
    machine.note(() => {
      if (how === 'alone' && (repairs || !ownerDied)) this.#scene.half = false;
    });
    if (ownerDied && repairs) guard.markConsistent();
    machine.note(() => this.#scene.inside.delete(index));
    guard.release();
  }
  /** Every order of these programs; `check` looks at the end as well, or alone if there may be sleepers. */
  all(programs: readonly Program[], { check, sleepers = false, faults = {}, ...more }: Conditions): number {
    return explore({
      machine: this.machine,
      programs: programs.map((program) => threaded(this.machine, faults, program)),
      time: LOOK_AGAIN,
      ...more,
      check: (processes) => {
        // Those who sleep beside the gap that looking again is for do not sleep for ever.
        const excused = more.time === undefined && processes.some((process) => gaps.has(process));
        for (const { index, state } of processes) {
          assert.ok(sleepers || excused || state === 'done' || state === 'dead', `${index} sleeps for ever`);
        }
        check?.(processes);
      },
    });
  }
}
export interface Conditions extends Pick<Exploration, 'interruptions' | 'kills' | 'time'> {
  readonly check?: Exploration['check'];
  readonly sleepers?: boolean;
  readonly faults?: Faults;
}

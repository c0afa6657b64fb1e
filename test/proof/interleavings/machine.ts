/**
 * A processor that runs production code of several processes one access to shared memory at a time, in an order that the caller
 * chooses, and ends them between any two accesses.
 *
 * Memory is x86-TSO (Sewell et al., CACM 2010): a plain store goes to the process's store buffer and reaches memory later, in
 * order; a load sees the process's own stores first; `Atomics.store` and exchanges are locked instructions, which empty the buffer;
 * membarrier(2) empties everybody's. What a killed process has stored reaches memory; it may be killed between any two stores.
 *
 * A program is a function that is run again from its beginning whenever its process goes on, with the results of all accesses that it has
 * made before: it must do the same whenever they are the same.
 */

interface Store {
  readonly offset: number;
  readonly bytes: Uint8Array;
}
export interface Process {
  readonly index: number;
  state: 'ready' | 'blocked' | 'done' | 'dead';
  /** Stores that are not in memory yet. */
  readonly stores: Store[];
  /** Results of what it has done so far. */
  readonly log: unknown[];
  cursor: number;
  /** Stores that it has made since its last observable access. */
  recent: number;
  /** Times that its bell was rung since it last woke up. */
  strokes: number;
  readonly program: Program;
  /** What the program has put there in its last run. */
  report: unknown[];
}
export type Program = (report: unknown[]) => void;
/** What a process is about to do when the machine may be told otherwise. */
export interface Point {
  readonly process: number;
  /** How many of its stores are not in memory yet. */
  readonly pending: number;
  /** How many of these it has made since what others could observe last: killed earlier, it would not have made them. */
  readonly recent: number;
  /** Which others could run. */
  readonly others: readonly number[];
}

const SUSPENDED = new Error('suspended');
const real = { Atomics, Int32Array, Uint8Array };
const machines = new WeakMap<object, Machine>();
/** The one that runs a program. */
let active: Machine | undefined;

export class Machine {
  /** Given to constructors of production code as their `ArrayBuffer`; see {@link construct}. */
  readonly buffer: ArrayBuffer;
  /** The same memory for who is given words. */
  readonly words: Int32Array;
  readonly processes: Process[] = [];
  /** Whether membarrier does anything. */
  barriers = true;
  /** A planted fault: writing to these words changes nothing, as if the code did not do it. */
  lost: (index: number) => boolean = () => false;
  /** Told of each access that others can observe, before it. */
  onPoint: (point: Point) => void = () => {};
  readonly #bytes: Uint8Array;
  readonly #memory: Int32Array;
  readonly #initial: Uint8Array;
  readonly #byteView: Uint8Array;
  /** Of each word, a bit for each process that has ever written it, in any run: what nobody else writes need not be watched. */
  readonly #writers: Uint8Array;
  #running: Process | undefined;
  #suspended = false;
  #budget = 0;
  #quiet = 0;

  constructor(initial: Uint8Array) {
    this.#initial = initial;
    this.buffer = new ArrayBuffer(initial.length);
    this.#bytes = new real.Uint8Array(this.buffer);
    this.#memory = new real.Int32Array(this.buffer);
    this.#writers = new real.Uint8Array(initial.length >> 2);
    this.words = this.#view(this.#memory, 4) as Int32Array;
    this.#byteView = this.#view(this.#bytes, 1) as Uint8Array;
  }

  /** As at the beginning, with these programs. */
  reset(programs: readonly Program[]): void {
    this.#bytes.set(this.#initial);
    this.processes.length = 0;
    for (const [index, program] of programs.entries()) {
      this.processes.push({
        index,
        program,
        state: 'ready',
        stores: [],
        log: [],
        cursor: 0,
        recent: 0,
        strokes: 0,
        report: [],
      });
    }
  }
  /** Runs a process until it has made `budget` observable accesses more, sleeps, or is done. */
  run(process: Process, budget: number): void {
    process.cursor = 0;
    process.report = [];
    this.#running = process;
    this.#budget = budget;
    this.#suspended = false;
    this.#quiet = 0;
    active = this;
    globalThis.Atomics = substituted;
    try {
      process.program(process.report);
      this.#access(true, () => {}); // its last stores may be on their way yet
      process.state = 'done';
    } catch (error) {
      if (error !== SUSPENDED) throw error;
    } finally {
      globalThis.Atomics = real.Atomics;
      active = undefined;
      this.#running = undefined;
    }
  }
  /** The oldest `count` stores of a process reach memory. */
  flush(process: Process, count: number = process.stores.length): void {
    for (const { offset, bytes } of process.stores.splice(0, count)) this.#bytes.set(bytes, offset);
  }
  /** What it has stored reaches memory, but for the last `unmade` stores, which it has not come to. */
  kill(process: Process, unmade = 0): void {
    this.flush(process, process.stores.length - unmade);
    process.stores.length = 0;
    process.state = 'dead';
    // The kernel closes what it held: whoever waits for it is told.
    for (const other of this.processes) if (other.state === 'blocked') other.state = 'ready';
  }

  /** What is in memory, for production code that runs afterwards and alone. */
  afterwards<T>(look: () => T): T {
    globalThis.Atomics = substituted;
    try {
      return look();
    } finally {
      globalThis.Atomics = real.Atomics;
    }
  }

  // What a program calls.

  /** Production code that is given {@link buffer} gets views of this machine's memory. Nothing in it is observable. */
  construct<T>(make: () => T): T {
    const scope = globalThis as { Int32Array: unknown; Uint8Array: unknown };
    const replace = (array: typeof Int32Array | typeof Uint8Array, view: object) =>
      new Proxy(array, {
        construct: (target, [first, ...rest]) =>
          first === this.buffer ? view : (Reflect.construct(target, [first, ...rest]) as object),
      });
    scope.Int32Array = replace(real.Int32Array, this.words);
    scope.Uint8Array = replace(real.Uint8Array, this.#byteView);
    this.#quiet++;
    try {
      return make();
    } finally {
      this.#quiet--;
      scope.Int32Array = real.Int32Array;
      scope.Uint8Array = real.Uint8Array;
    }
  }
  /** Rings a process's bell, a system call. */
  ring(index: number): boolean {
    return this.call(() => {
      const other = this.processes[index]!;
      if (other.state === 'dead') return false;
      other.strokes++;
      if (other.state === 'blocked') other.state = 'ready';
      return true;
    });
  }
  /** Sleeps until its own bell was rung, or one of `peers` has died. True: the bell. */
  sleep(peers: readonly number[]): boolean {
    return this.call(() => {
      const process = this.#running!;
      if (process.strokes > 0) {
        process.strokes = 0;
        return true;
      }
      if (peers.some((index) => this.processes[index]!.state === 'dead')) return false;
      process.state = 'blocked';
      throw this.#suspend();
    });
  }
  /** The bell that it had is gone, with its strokes, and it has a new one. */
  renewBell(): void {
    this.call(() => {
      this.#running!.strokes = 0;
    });
  }
  isDead(index: number): boolean {
    return this.call(() => this.processes[index]!.state === 'dead');
  }
  /** A system call: done once, at one moment. The kernel's own locks empty the store buffer. */
  call<T>(perform: () => T): T {
    return this.#access(true, () => {
      if (this.#running !== undefined) this.flush(this.#running);
      return perform();
    });
  }
  /** membarrier(2) */
  barrier(): void {
    this.#access(true, () => {
      if (this.barriers) for (const process of this.processes) this.flush(process);
    });
  }

  // What production code calls, through views and `Atomics`.

  load(index: number): number {
    const process = this.#running;
    const observable = process === undefined || (this.#writers[index]! & ~(1 << process.index)) !== 0;
    return this.#access(observable, () => this.#seen(index));
  }
  /** A plain store. Nobody can observe it before it reaches memory. */
  store(index: number, value: number): void {
    this.#write(index << 2, new real.Uint8Array(real.Int32Array.of(value).buffer));
  }
  /** A locked instruction: gives what was there. */
  exchange(index: number, change: (found: number) => number): number {
    return this.#access(true, () => {
      if (this.#running !== undefined) {
        this.flush(this.#running);
        this.#writers[index]! |= 1 << this.#running.index;
      }
      const found = this.#memory[index]!;
      if (!this.lost(index)) this.#memory[index] = change(found);
      return found;
    });
  }

  /** A locked instruction on memory that nobody shares. */
  fence(): void {
    this.#access(false, () => this.flush(this.#running!));
  }

  #write(offset: number, bytes: Uint8Array): void {
    this.#access(false, () => {
      const process = this.#running;
      if (this.lost(offset >> 2)) return;
      if (process === undefined) return void this.#bytes.set(bytes, offset);
      for (let at = offset >> 2; at < (offset + bytes.length) >> 2; at++) this.#writers[at]! |= 1 << process.index;
      process.stores.push({ offset, bytes });
      process.recent++;
    });
  }
  #seen(index: number): number {
    const offset = index << 2;
    const { stores } = this.#running ?? { stores: [] };
    for (let i = stores.length - 1; i >= 0; i--) {
      const store = stores[i]!;
      const at = offset - store.offset;
      if (at < 0 || at >= store.bytes.length) continue;
      return new DataView(store.bytes.buffer, store.bytes.byteOffset).getInt32(at, true);
    }
    return this.#memory[index]!;
  }
  #suspend(): Error {
    this.#suspended = true;
    return SUSPENDED;
  }
  /** `perform` once, and its result whenever the program is run again. */
  #access<T>(observable: boolean, perform: () => T): T {
    const process = this.#running;
    if (process === undefined) return perform(); // after the end, from outside
    if (this.#suspended) throw SUSPENDED; // a `finally` or `catch` of the code that was suspended
    if (process.cursor < process.log.length) return process.log[process.cursor++] as T;
    if (observable && this.#quiet === 0) {
      if (this.#budget === 0) throw this.#suspend();
      this.#budget--;
      const others = this.processes.filter((other) => other !== process && other.state === 'ready');
      this.onPoint({
        process: process.index,
        pending: process.stores.length,
        recent: Math.min(process.recent, process.stores.length),
        others: others.map((other) => other.index),
      });
      process.recent = 0;
    }
    const result = perform();
    process.log.push(result);
    process.cursor++;
    return result;
  }
  #view(array: Int32Array | Uint8Array, size: number): object {
    const view = new Proxy(array, {
      get: (target, key) => {
        if (typeof key === 'string' && key >= '0' && key < ':') return size === 4 ? this.load(Number(key)) : undefined;
        if (key === 'set') {
          return (source: Uint8Array, offset: number) => this.#write(offset * size, new real.Uint8Array(source));
        }
        return Reflect.get(target, key, target) as unknown;
      },
      set: (_, key, value: number) => {
        this.store(Number(key), value);
        return true;
      },
    });
    machines.set(view, this);
    return view;
  }
}

/** Of an array that is no machine's: a locked instruction empties the buffer all the same. */
function elsewhere<T>(perform: () => T): T {
  active?.fence();
  return perform();
}
/** `Atomics` for views of a machine, and for everything else as it is. */
const substituted = Object.create(real.Atomics) as { -readonly [Name in keyof typeof Atomics]: (typeof Atomics)[Name] };
function substitute(
  name: 'add' | 'or' | 'and' | 'store' | 'exchange',
  next: (found: number, value: number) => number,
): void {
  substituted[name] = ((view: Int32Array, index: number, value: number) => {
    const machine = machines.get(view);
    if (machine === undefined) return elsewhere(() => real.Atomics[name](view, index, value));
    const found = machine.exchange(index, (each) => next(each, value));
    return name === 'store' ? value : found;
  }) as never;
}
substitute('add', (found, value) => found + value);
substitute('or', (found, value) => found | value);
substitute('and', (found, value) => found & value);
substitute('store', (_, value) => value);
substitute('exchange', (_, value) => value);
substituted.load = ((view: Int32Array, index: number) =>
  machines.get(view)?.load(index) ?? real.Atomics.load(view, index)) as never;
substituted.compareExchange = ((view: Int32Array, index: number, expected: number, value: number) =>
  machines.get(view)?.exchange(index, (found) => (found === expected ? value : found)) ??
  elsewhere(() => real.Atomics.compareExchange(view, index, expected, value))) as never;

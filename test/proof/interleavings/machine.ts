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
  /** Idle: it lets all others go first. */
  state: 'ready' | 'idle' | 'blocked' | 'done' | 'dead';
  /** Stores that are not in memory yet. */
  readonly stores: Store[];
  /** Results of what it has done so far. */
  readonly log: unknown[];
  cursor: number;
  /** Stores that it has made since its last observable access. */
  recent: number;
  /** Times that its bell was rung since it last woke up. */
  strokes: number;
  hasGivenWay: boolean;
  /** How many of its waits time has ended. */
  timeouts: number;
  /** What a futex call of its waits for. */
  wait: Wait | undefined;
  readonly program: Program;
  /** What the program has put there in its last run. */
  report: unknown[];
}
/** For one of several words, in futex(2). */
export interface Wait {
  readonly indices: readonly number[];
  readonly milliseconds: number;
  /** Who came first is woken first. */
  readonly order: number;
  /** Once it is over: which word it was, or -1 for the time. */
  result: number | undefined;
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

/** Who was woken by time so often, and sleeps again, sleeps for ever. */
const MOST_TIMEOUTS = 8;
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
  /** Told of a death when what the dead one has stored is in memory: what the kernel does then. */
  onDeath: (process: Process) => void = () => {};
  /** Told of each access that others can observe, before it. */
  onPoint: (point: Point) => void = () => {};
  readonly #bytes: Uint8Array;
  readonly #memory: Int32Array;
  readonly #initial: Uint8Array;
  readonly #byteView: Uint8Array;
  /** Of each word, a bit for each process that has ever written it, in any run: what nobody else writes need not be watched. */
  readonly #writers: Uint8Array;
  #running: Process | undefined;
  #waits = 0;
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
        hasGivenWay: false,
        timeouts: 0,
        wait: undefined,
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
    this.onDeath(process);
    // The kernel closes what it held: whoever waits for it is told.
    for (const other of this.processes) {
      if (other.state === 'blocked' && other.wait === undefined) other.state = 'ready';
    }
  }
  /** What is in memory, for the kernel. */
  get memory(): Int32Array {
    return this.#memory;
  }
  get running(): Process | undefined {
    return this.#running;
  }
  /** Nobody can go on: the shortest wait that is shorter than `longest` is over. False: there is none. */
  timePasses(longest: number): boolean {
    const next = this.processes
      .filter(({ state, wait }) => state === 'blocked' && wait !== undefined && wait.milliseconds < longest)
      .filter(({ timeouts }) => timeouts < MOST_TIMEOUTS)
      .sort(
        (one, other) => one.wait!.milliseconds - other.wait!.milliseconds || one.wait!.order - other.wait!.order,
      )[0];
    if (next === undefined) return false;
    next.timeouts++;
    next.wait!.result = -1;
    next.state = 'ready';
    return true;
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
  /** Lets all others go first, for as long as any of them can. */
  giveWay(): void {
    this.call(() => {
      const process = this.#running!;
      if (process.hasGivenWay) {
        process.hasGivenWay = false;
        return;
      }
      process.hasGivenWay = true;
      process.state = 'idle';
      throw this.#suspend();
    });
  }
  /** futex(2) and futex_waitv(2): the index of the word that was woken; -1: the time is over; -2: a word had changed already. */
  futexWait(words: readonly { index: number; expected: number }[], milliseconds: number): number {
    return this.call(() => {
      const process = this.#running!;
      const { wait } = process;
      if (wait?.result !== undefined) {
        process.wait = undefined;
        return wait.result;
      }
      if (words.some(({ index, expected }) => this.#memory[index] !== expected >> 0)) return -2;
      process.wait = {
        indices: words.map(({ index }) => index),
        milliseconds,
        order: ++this.#waits,
        result: undefined,
      };
      process.state = 'blocked';
      throw this.#suspend();
    });
  }
  /** A part of a system call, or of what the kernel does at a death. */
  wake(index: number, count: number): number {
    const sleepers = this.processes
      .filter(({ state, wait }) => state === 'blocked' && wait?.indices.includes(index))
      .sort((one, other) => one.wait!.order - other.wait!.order)
      .slice(0, count);
    for (const { wait } of sleepers) wait!.result = index;
    for (const sleeper of sleepers) sleeper.state = 'ready';
    return sleepers.length;
  }
  /** What a test notes down, once, between two accesses. Nobody can observe it. */
  note<T>(perform: () => T): T {
    return this.#access(false, perform);
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
  /** A locked instruction: gives what was there, in the word itself or, if it is on two words, in the other one. */
  exchange(index: number, change: (found: number) => number, given: number = index): number {
    return this.#access(true, () => {
      if (this.#running !== undefined) {
        this.flush(this.#running);
        this.#writers[index]! |= 1 << this.#running.index;
      }
      const [found, result] = [this.#memory[index]!, this.#memory[given]!];
      if (!this.lost(index)) this.#memory[index] = change(found);
      return result;
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
      const others = this.processes.filter((other) => other !== process && canRun(other));
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

export function canRun({ state }: Process): boolean {
  return state === 'ready' || state === 'idle';
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
/** Modules that take functions of `Atomics` when they are loaded get those of machines. */
export async function withSubstitutes<T>(imported: () => Promise<T>): Promise<T> {
  globalThis.Atomics = substituted;
  try {
    return await imported();
  } finally {
    globalThis.Atomics = real.Atomics;
  }
}

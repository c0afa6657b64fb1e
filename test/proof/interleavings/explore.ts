/**
 * Every order in which programs can run on a machine, up to a number of interruptions: before each access that others can observe, each
 * other process, with each number of the stores of the interrupted one in memory (context bounding, Musuvathi and Qadeer, PLDI
 * 2007: most mistakes show with two). An interruption may also be the end of the process.
 */
import assert from 'node:assert/strict';
import { canRun, type Machine, type Point, type Process, type Program } from './machine.js';

/** Before access number `at`: another process goes on, or this one is killed. */
interface Interruption {
  readonly at: number;
  readonly to: number;
  readonly flushed: number;
  readonly kill: boolean;
  /** Of one that is killed: how many of its last stores it has not come to. */
  readonly unmade?: number;
}
export interface Exploration {
  readonly machine: Machine;
  readonly programs: readonly Program[];
  readonly interruptions: number;
  /**
   * How many of the interruptions may be kills, and of whom; `between` also between stores that nobody can observe, so that some of what a
   * program has reported may not have been stored.
   */
  readonly kills?: { readonly most: number; readonly of: readonly number[]; readonly between?: boolean };
  /** Milliseconds: waits that are shorter end when nobody else can go on. Without it, none ever ends. */
  readonly time?: number;
  /** Looks at what has come of it, when nobody can go on. Whoever is still asleep then sleeps for ever. */
  check(processes: readonly Process[]): void;
}

/** Explores all of it, and gives the number of runs; the first run that fails is told with its interruptions. */
export function explore(exploration: Exploration): number {
  const { machine, interruptions, kills = { most: 0, of: [] } } = exploration;
  // What somebody else writes is learned first, lest an early run take it for private.
  for (let seed = 1; seed <= 50; seed++) execute(exploration, randomly(seed));
  let runs = 0;
  const descend = (taken: readonly Interruption[]): void => {
    runs++;
    const points = execute(exploration, taken);
    if (taken.length === interruptions) return;
    const killed = taken.filter(({ kill }) => kill).length;
    const first = taken.at(-1)?.at ?? -1;
    for (let at = first + 1; at < points.length; at++) {
      const { process, pending, recent, others } = points[at]!;
      for (const to of others) {
        for (let flushed = 0; flushed <= pending; flushed++) descend([...taken, { at, to, flushed, kill: false }]);
      }
      if (killed < kills.most && kills.of.includes(process)) {
        const most = kills.between === true ? recent : 0;
        for (let unmade = 0; unmade <= most; unmade++)
          descend([...taken, { at, to: -1, flushed: 0, kill: true, unmade }]);
      }
    }
  };
  descend([]);
  assert.ok(machine.processes.length > 0);
  return runs;
}

function execute({ machine, programs, time = 0, check }: Exploration, taken: readonly Interruption[]): Point[] {
  const points: Point[] = [];
  machine.onPoint = (point) => points.push(point);
  machine.reset(programs);
  const { processes } = machine;
  let next = 0;
  let current = processes[0]!;
  try {
    for (;;) {
      while (taken[next] !== undefined && taken[next]!.at < points.length) next++;
      machine.run(current, (taken[next]?.at ?? Number.POSITIVE_INFINITY) - points.length);
      const interruption = current.state === 'ready' ? taken[next] : undefined;
      if (interruption?.kill === true) machine.kill(current, interruption.unmade);
      else machine.flush(current, interruption?.flushed);
      const wanted = interruption?.kill === false ? processes[interruption.to] : undefined;
      if (interruption !== undefined) next++;
      const able = () =>
        processes.find(({ state }) => state === 'ready') ?? processes.find(({ state }) => state === 'idle');
      const following =
        wanted !== undefined && canRun(wanted) ? wanted : (able() ?? (machine.timePasses(time) ? able() : undefined));
      if (following === undefined) break;
      following.state = 'ready';
      current = following;
    }
    for (const process of processes) machine.flush(process);
    machine.afterwards(() => check(processes));
  } catch (error) {
    const told = taken.map(({ at, to, flushed, kill, unmade }) =>
      kill ? `${at}: killed before its last ${unmade} stores` : `${at}: to ${to} with ${flushed} stores in memory`,
    );
    throw new Error(`${error}\nafter ${told.length === 0 ? 'no interruption' : told.join(', ')}`, { cause: error });
  }
  return points;
}
/** Some interruptions, the same for the same seed. */
function randomly(seed: number): Interruption[] {
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  let at = 0;
  return Array.from({ length: 6 }, () => ({
    at: (at += 1 + random(12)),
    to: random(3),
    flushed: random(4),
    kill: false,
  }));
}

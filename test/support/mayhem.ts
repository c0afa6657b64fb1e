/** Processes that use something at full speed while they are killed, one after the other, at random moments. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { SharedMemory } from 'vecino';
import { type Running, startScript, uniqueName } from './processes.js';

/** How many live at a time. */
const VICTIMS = 6;
/** How many of them must be at work when one is killed, so that there are survivors to be looked at. */
const WORKING = 3;
/** Milliseconds after which a survivor that has done nothing hangs. */
const HANGS = 60_000;
/** Words of each victim, in which it counts what it has done of each kind. */
const KINDS = 8;
/** Words that find out whether two are where only one may be, for each kind. */
const OWNERS = 512;
const CLASHES = 768;

/**
 * What each of them runs before its own source. `progress(kind)` counts one more thing done; `enter(kind)` and `leave(kind)` stand
 * around what only one may do at a time; `pause(voice)` is time to be killed in.
 */
const PRELUDE = `
  import { readFileSync } from 'node:fs';
  import { setPriority } from 'node:os';
  import { SharedMemory } from 'vecino/memory';
  import { native } from '#src/system/native.js';
  native.setParentDeathSignal(9);
  setPriority(5); // those that are starting go first
  const [, memoryName, slot, ...rest] = process.argv;
  const words = new Int32Array(SharedMemory.open(memoryName).buffer);
  const progress = (kind) => { Atomics.add(words, Number(slot) * ${KINDS} + kind, 1); };
  const lives = (pid) => {
    try {
      const text = readFileSync('/proc/' + pid + '/stat', 'utf8');
      return !'ZX'.includes(text[text.lastIndexOf(')') + 2]);
    } catch { return false; }
  };
  const clashed = (kind) => { Atomics.add(words, ${CLASHES} + kind, 1); };
  // One who was killed inside may take a moment to be gone altogether.
  const clash = (kind, pid = words[${OWNERS} + kind]) => {
    for (const end = Date.now() + 10_000; pid !== 0 && lives(pid); ) if (Date.now() > end) return clashed(kind);
  };
  const enter = (kind) => clash(kind, Atomics.exchange(words, ${OWNERS} + kind, process.pid));
  const leave = (kind) => {
    if (Atomics.compareExchange(words, ${OWNERS} + kind, process.pid, 0) !== process.pid) clashed(kind);
  };
  const idle = new Int32Array(new SharedArrayBuffer(4));
  const pause = async (voice) => {
    if (voice === 'sync') Atomics.wait(idle, 0, 0, Math.random() * 2);
    else await new Promise((resolve) => setTimeout(resolve, Math.random() * 2));
  };
`;

interface Victim {
  slot: number;
  process: Running;
  working: boolean;
}

/**
 * Kills `kills` processes that run `source` and do things of `kinds` kinds. After each kill `after` is called, and then a
 * survivor must go on with each kind. When all are dead, gives how often two were where only one may be, for each kind.
 */
export async function mayhem(options: {
  source: string;
  args(slot: number): string[];
  kinds: number;
  kills: number;
  after?(): void;
}): Promise<number[]> {
  const { source, args, kinds, kills, after = () => {} } = options;
  const memory = SharedMemory.create(uniqueName('mayhem'), 4096);
  const words = new Int32Array(memory.buffer);
  const victims: Victim[] = [];
  const begin = (slot: number) => {
    const process = startScript(PRELUDE + source, [memory.name!, String(slot), ...args(slot)]);
    victims[slot] = { slot, process, working: false };
  };
  const progress = ({ slot }: Victim) => [...words.subarray(slot * KINDS, slot * KINDS + kinds)];
  const working = () => victims.filter((victim) => (victim.working ||= progress(victim).every((count) => count > 0)));
  const until = async (what: () => string, condition: () => boolean) => {
    for (const end = Date.now() + HANGS; !condition(); await delay(1)) {
      for (const { process } of victims) {
        if (process.child.exitCode !== null) assert.fail(`a victim ended by itself: ${(await process.ended).stderr}`);
      }
      if (Date.now() > end) assert.fail(what());
    }
  };
  try {
    for (let slot = 0; slot < VICTIMS; slot++) begin(slot);
    for (let killed = 1; killed <= kills; killed++) {
      await until(
        () =>
          `before kill ${killed}: not enough of them do all that they are to: ${victims.map((victim) => `[${progress(victim)}]`)}`,
        () => working().length >= WORKING,
      );
      await delay(Math.random() * 5);
      const ready = working();
      const [victim] = ready.splice(Math.floor(Math.random() * ready.length), 1);
      await victim!.process.kill();
      words.fill(0, victim!.slot * KINDS, (victim!.slot + 1) * KINDS);
      begin(victim!.slot);
      after();
      const survivor = ready[Math.floor(Math.random() * ready.length)]!;
      const before = progress(survivor);
      await until(
        () => `after kill ${killed} a survivor hangs: it has done ${before}, and now ${progress(survivor)}`,
        () => progress(survivor).every((count, kind) => count !== before[kind]),
      );
    }
  } finally {
    await Promise.all(victims.map(({ process }) => process.kill()));
    memory.unlink();
  }
  const clashes = [...words.subarray(CLASHES, CLASHES + kinds)];
  memory.close();
  return clashes;
}

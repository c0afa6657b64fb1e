// @ts-check
/**
 * Where a benchmark happens: folders, cores, compiled programs, the processes under way. `close()` leaves nothing behind, whatever
 * happened before.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { build, missing, programKey } from './compile.mjs';
import { pinned } from './pinned.mjs';
import { removeQueuesOf } from './sysv.mjs';

const PING = { source: 'ping.c' };
const MEMORY = '/dev/shm';
/** Where anything of a run may lie. */
const PLACES = [tmpdir(), MEMORY, '/dev/mqueue'];

export class Session {
  prefix = `vecino-bench-${process.pid}-`;
  folder;
  memory;
  /** @type {Record<string, string>} */
  programs = {};
  /** @type {number[]} */
  cpus;
  /** Leaders of process groups that have not ended. @type {Set<number>} */
  #running = new Set();

  /** @param {number[] | undefined} cpus */
  constructor(cpus) {
    this.cpus = cpus ?? twoCores();
    sweep((pid) => !existsSync(`/proc/${pid}`)); // of a benchmark that was killed
    this.folder = mkdtempSync(join(tmpdir(), this.prefix));
    this.memory = mkdtempSync(join(MEMORY, this.prefix));
  }
  get place() {
    const { prefix, folder, memory, programs } = this;
    return { prefix, folder, memory, programs };
  }

  /**
   * Compiles a program of c/, once for each size if the compiler is to know it. Gives a reason if this machine lacks what it needs.
   *
   * @param {import('./row.js').Program} program @param {number} size @returns {string | undefined}
   */
  compile(program, size) {
    const key = programKey(program, size);
    if (this.programs[key] !== undefined) return undefined;
    const lacking = missing(program);
    if (lacking !== undefined) return lacking;
    const to = join(this.folder, key.replaceAll(/[^\w-]/g, '-'));
    build(program, size, to);
    this.programs[key] = to;
    return undefined;
  }

  /** The bare cache line between the two cores, there and back, in nanoseconds. @param {boolean} smoke */
  async ping(smoke) {
    const { cpus } = this;
    if (cpus[0] === cpus[1]) return undefined;
    this.compile(PING, 0);
    const given = [...cpus, smoke ? 1 : 5, smoke ? 2 : 20].map(String);
    const line = await this.run(cpus, 60, this.programs[PING.source], ...given);
    return /** @type {number} */ (JSON.parse(line).p10);
  }

  /**
   * Runs a program to its end and gives what it printed. It and all that it started is killed after `limit` seconds.
   *
   * @param {number[]} cpus @param {number} limit @param {string} file @param {string[]} args
   */
  async run(cpus, limit, file, ...args) {
    const [command, ...rest] = pinned(cpus, file, ...args);
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const { pid } = child;
    /** @type {Promise<[number | null, string | null]>} */
    const closed = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve([code, signal]));
    });
    if (pid !== undefined) this.#running.add(pid);
    let late = false;
    const watchdog = globalThis.setTimeout(() => {
      late = true;
      if (pid !== undefined) killGroup(pid);
    }, limit * 1e3);
    try {
      const [[code, signal], stdout, stderr] = await Promise.all([closed, text(child.stdout), text(child.stderr)]);
      if (late) throw new Error(`killed: not finished after ${limit} s`);
      if (code !== 0) throw new Error(stderr.trim() || `a process of the run ended with ${signal ?? code}`);
      return stdout;
    } finally {
      clearTimeout(watchdog);
      if (pid !== undefined) {
        await endGroup(pid);
        removeQueuesOf(pid);
        this.#running.delete(pid);
      }
    }
  }

  close() {
    for (const pid of this.#running) {
      killGroup(pid);
      removeQueuesOf(pid);
    }
    this.#running.clear();
    sweep((pid) => pid === process.pid);
  }
}

/** Removes what benchmarks have left, if theirs is a process that is `meant`. @param {(pid: number) => boolean} meant */
function sweep(meant) {
  for (const place of PLACES) {
    for (const name of list(place)) {
      const pid = /^(?:sem\.)?vecino-bench-(\d+)-/.exec(name)?.[1];
      if (pid !== undefined && meant(Number(pid))) rmSync(join(place, name), { recursive: true, force: true });
    }
  }
}

/** @param {number} pid @returns {boolean} false: all of it has ended */
function killGroup(pid) {
  try {
    return process.kill(-pid, 'SIGKILL');
  } catch {
    return false;
  }
}
/** Killed is not yet gone. Bounded, because a zombie that nobody reaps stays. @param {number} pid */
async function endGroup(pid) {
  for (let tries = 0; killGroup(pid) && tries < 100; tries++) await setTimeout(10);
}
/** @param {string} folder */
function list(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
/** Two of the processors we may run on, not two threads of one core; the same one twice if there is only one. */
function twoCores() {
  const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(read('/proc/self/status') ?? '')?.[1] ?? '0';
  const cpus = allowed.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  /** @param {number} cpu */
  const core = (cpu) => {
    const topology = `/sys/devices/system/cpu/cpu${cpu}/topology`;
    return `${read(`${topology}/physical_package_id`)}:${read(`${topology}/core_id`) ?? cpu}`;
  };
  const [first] = cpus;
  const second = cpus.find((cpu) => core(cpu) !== core(first)) ?? cpus[1] ?? first;
  return [first, second];
}

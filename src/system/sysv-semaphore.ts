/** System V semaphores, svipc(7): semget(2), semop(2) as semtimedop(2), semctl(2). */

import { readFileSync } from 'node:fs';
import { checkInteger, checkMode } from './arguments.js';
import { EACCES, EIDRM, EINVAL, EPERM } from './errno.js';
import { errnoName, SystemError } from './errors.js';
import { constants, native } from './native.js';
import { checkKey, type SysVKey } from './sysv-key.js';

declare module './native.js' {
  interface Native {
    // sysv_semaphore.c
    semget(key: number, count: number, flags: number): number;
    semtimedop(id: number, operations: Int16Array, count: number, milliseconds: number): number;
    semctl(id: number, index: number, command: number, value: number): number;
    semctlAll(id: number, command: number, values: Uint16Array): number;
    semStat(id: number, out: Float64Array): number;
    semOperateStart(id: number, operations: Int16Array, count: number): number;
    semOperateFinish(event: number, cancel: boolean): number;
  }
}

/** The largest value of a semaphore, and the largest adjustment that `undo` keeps: SEMVMX, SEMAEM. */
export const SEM_VALUE_LIMIT = 32767;

/** The limits of kernel.sem, proc(5). */
export interface SemaphoreLimits {
  /** Semaphores in a set: SEMMSL. */
  set: number;
  /** Semaphores in all sets together: SEMMNS. */
  total: number;
  /** Operations in one call: SEMOPM. */
  operations: number;
  /** Sets: SEMMNI. */
  sets: number;
}
const LIMITS = '/proc/sys/kernel/sem';
export function semaphoreLimits(): SemaphoreLimits {
  const [set, total, operations, sets] = readFileSync(LIMITS, 'utf8').trim().split(/\s+/).map(Number) as [
    number,
    number,
    number,
    number,
  ];
  return { set, total, operations, sets };
}
const fields = { set: [0, 'SEMMSL'], total: [1, 'SEMMNS'], operations: [2, 'SEMOPM'], sets: [3, 'SEMMNI'] } as const;
function limit(which: keyof SemaphoreLimits): string {
  const [position, name] = fields[which];
  let value: number | string = 'not readable';
  let values = ['SEMMSL', 'SEMMNS', 'SEMOPM', 'SEMMNI'];
  try {
    const limits = semaphoreLimits();
    value = limits[which];
    values = Object.values(limits).map(String);
  } catch {
    // No /proc: the names are enough.
  }
  values[position] = 'NUMBER';
  return `${name} is ${value} (number ${position + 1} of ${LIMITS}); raise it with \`sysctl -w kernel.sem="${values.join(' ')}"\``;
}

/** The id of the set with a key. With `constants.IPC_CREAT`, of a new set of `count` semaphores; no umask applies to `mode`. */
export function semget(key: SysVKey, count: number, flags = 0, mode = 0o600): number {
  const number = checkKey('key', key);
  checkInteger('count', count, 0, 65535);
  const id = native.semget(number, count, checkInteger('flags', flags, 0) | (checkMode('mode', mode) & 0o777));
  if (id >= 0) return id;
  const path = key === 'private' ? 'private' : `key 0x${(number >>> 0).toString(16)}`;
  const hint = whyNotGot(id, count);
  throw new SystemError(id, 'semget', { path, hint });
}
function whyNotGot(result: number, count: number): string | undefined {
  switch (errnoName(result)) {
    case 'ENOENT':
      return 'No set has that key: create it first';
    case 'EEXIST':
      return 'A set with that key exists already: open it, or remove it first (ipcs -s, ipcrm -s ID)';
    case 'EACCES':
      return "The set's mode does not allow this access to this user";
    case 'EINVAL':
      return `${count} semaphores in a set are too many, or more than the existing set has: ${limit('set')}`;
    case 'ENOSPC':
      return `There are too many sets, or semaphores in all of them: ${limit('sets')}; ${limit('total')}; or remove unused sets (ipcs -s, ipcrm -s ID)`;
    default:
      return undefined;
  }
}

/** The error of operations that failed, other than because they would have to wait. */
export function operationError(result: number, id: number, count: number): SystemError {
  switch (errnoName(result)) {
    case 'EINVAL': // the kernel's answer for an unknown id; all other causes were checked
    case 'EIDRM':
      return removed(id, 'semop');
    case 'E2BIG':
      return new SystemError(result, 'semop', {
        path: label(id),
        hint: `${count} operations in one call are too many: ${limit('operations')}`,
      });
    case 'ERANGE':
      return new SystemError(result, 'semop', {
        path: label(id),
        hint: `A value or an undo adjustment would exceed ${SEM_VALUE_LIMIT} (SEMVMX), a fixed limit. Nothing was changed`,
      });
    case 'EFBIG':
      return new SystemError(result, 'semop', { path: label(id), hint: 'The set has no semaphore with that index' });
    case 'EACCES':
      return new SystemError(result, 'semop', {
        path: label(id),
        hint: "The set's mode does not allow this to this user",
      });
    case 'ENOSPC':
    case 'ENOMEM':
      return new SystemError(result, 'semop', {
        path: label(id),
        hint: 'The kernel has no memory for another undo or wait',
      });
    default:
      return new SystemError(result, 'semop', { path: label(id) });
  }
}
function removed(id: number, syscall: string): SystemError {
  return new SystemError(EIDRM, syscall, { path: label(id), hint: 'The set was removed' });
}
function label(id: number): string {
  return `semaphore set ${id}`;
}
function checked(result: number, id: number): number {
  if (result >= 0) return result;
  if (result === EINVAL || result === EIDRM) throw removed(id, 'semctl');
  const path = label(id);
  if (result === EACCES || result === EPERM) {
    throw new SystemError(result, 'semctl', { path, hint: "The set's mode or owner does not allow this to this user" });
  }
  throw new SystemError(result, 'semctl', { path });
}

/** One value of a semaphore: `GETVAL`, `GETPID`, `GETNCNT`, `GETZCNT`. */
export function semGet(id: number, index: number, what: 'GETVAL' | 'GETPID' | 'GETNCNT' | 'GETZCNT'): number {
  return checked(native.semctl(id, index, constants[what]!, 0), id);
}
/** `SETVAL`. */
export function semSetValue(id: number, index: number, value: number): void {
  checked(native.semctl(id, index, constants['SETVAL']!, value), id);
}
/** `GETALL`. */
export function semGetAll(id: number, count: number): number[] {
  const values = new Uint16Array(count);
  checked(native.semctlAll(id, constants['GETALL']!, values), id);
  return [...values];
}
/** `SETALL`. */
export function semSetAll(id: number, values: readonly number[]): void {
  checked(native.semctlAll(id, constants['SETALL']!, Uint16Array.from(values)), id);
}
/** `IPC_RMID`: removes the set at once; waiters fail with EIDRM. False if it was removed already. */
export function semRemove(id: number): boolean {
  const result = native.semctl(id, 0, constants['IPC_RMID']!, 0);
  if (result === EINVAL || result === EIDRM) return false;
  checked(result, id);
  return true;
}

/** The result of semctl(2) IPC_STAT. */
export interface SysVSemaphoreStatus {
  /** Semaphores in the set. */
  count: number;
  /** Permission bits. */
  mode: number;
  /** The user who owns it. */
  uid: number;
  /** The group that owns it. */
  gid: number;
  /** The user who created it. */
  creator: number;
  /** When semop(2) last changed something, to the second; null for never. */
  lastOperation: Date | null;
  /** When it was created, or last changed by semctl(2), to the second. */
  lastChange: Date;
  /** Its key, as a signed number; 0 for a private one. */
  key: number;
}
const status = new Float64Array(8);
/** semctl(2) `IPC_STAT`. `EINVAL`, `EIDRM`: the set was removed; `EACCES`: no permission to read. */
export function semStat(id: number): SysVSemaphoreStatus {
  checked(native.semStat(id, status), id);
  const [count, mode, uid, gid, creator, operated, changed, key] = [...status] as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const lastOperation = operated === 0 ? null : new Date(operated * 1000);
  return { count, mode, uid, gid, creator, lastOperation, lastChange: new Date(changed * 1000), key };
}

/** shmget(2), shmat(2), shmctl(2). */
import { checkInteger } from './arguments.js';
import { check, SystemError, type SystemErrorContext } from './errors.js';
import { type Mapping, mapping } from './memory.js';
import { native } from './native.js';
import { withRoom } from './reserved.js';

declare module './native.js' {
  interface Native {
    shmget(key: number, size: number, flags: number): number;
    shmat(id: number, size: number, slot: Int32Array): ArrayBuffer | number;
    shmRemove(id: number): number;
    shmStatus(id: number, out: Float64Array): number;
  }
}

/** The identifier of the segment of `key`; `size` 0 asks for an existing one of any size. */
export function shmget(key: number, size: number, flags: number, context?: SystemErrorContext): number {
  return check(native.shmget(key, size, flags), 'shmget', context);
}
const slotOut = new Int32Array(1);
/** Attaches a segment of `size` bytes, for reading and writing. */
export function shmat(id: number, size: number, name: string): Mapping {
  checkInteger('id', id, 0);
  const buffer = withRoom(() => native.shmat(id, size, slotOut));
  if (typeof buffer === 'number') throw new SystemError(buffer, 'shmat', { path: name });
  return mapping(buffer, slotOut[0]!, name);
}
/** Marks a segment for removal when the last process has detached it. */
export function shmRemove(id: number): number {
  return native.shmRemove(checkInteger('id', id, 0));
}
/** The result of shmctl(2) IPC_STAT. */
export interface SysVMemoryStatus {
  /** Size in bytes, as requested. */
  size: number;
  /** How often it is attached now. */
  attached: number;
  /** The process that created it. */
  creator: number;
  /** The process that last attached or detached it; 0 for none yet. */
  lastPid: number;
  /** Permission bits. */
  mode: number;
  /** The user who owns it. */
  uid: number;
}
const status = new Float64Array(6);
export function shmStatus(id: number): SysVMemoryStatus {
  check(native.shmStatus(checkInteger('id', id, 0), status), 'shmctl', { path: `id ${id}` });
  const [size, attached, creator, lastPid, mode, uid] = status as unknown as number[];
  return { size, attached, creator, lastPid, mode, uid } as SysVMemoryStatus;
}

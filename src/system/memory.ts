/** mmap(2), munmap(2), memfd_create(2), shm_open(3), shm_unlink(3). */

import {
  checkBoolean,
  checkDescriptor,
  checkFlags,
  checkInteger,
  checkMode,
  checkName,
  checkOptions,
  checkPath,
} from './arguments.js';
import { EBUSY, ENOENT, EOPNOTSUPP } from './errno.js';
import { CorruptError, check, SystemError, UnsupportedError } from './errors.js';
import { constants, native } from './native.js';
import { boundReserved, withRoom } from './reserved.js';

/** Kinds of damage, as the guard in native/guard.h numbers them. */
const TRUNCATED = 1;

/** A mapped part of the address space: an `ArrayBuffer` until {@link Mapping.unmap}. */
export interface Mapping {
  /** The memory itself; length 0 once it is unmapped. */
  readonly buffer: ArrayBuffer;
  /**
   * Throws {@link CorruptError} if a fault in this mapping was caught: its file was truncated, or the process wrote to it although it is
   * read-only. The bytes are private to this process from then on.
   */
  check(): void;
  /**
   * Detaches the buffer (every view of it has length 0 from then on) and frees the memory. The range of addresses stays reserved, with
   * private pages, until the buffer is collected, because another thread (`fs`, `zlib`, `crypto`) may be using it. Idempotent.
   */
  unmap(): void;
}

const MMAP_OPTIONS = { offset: true, readOnly: true, name: true } as const;
const slotOut = new Int32Array(1);
/**
 * Maps `length` bytes of a file, shared with all processes that map it too. Read-only mappings catch stray writes (see
 * {@link Mapping.check}) instead of ending the process. If the object is collected, the memory is unmapped.
 */
export function mmap(
  fd: number,
  length: number,
  options: { offset?: number; readOnly?: boolean; name?: string } = {},
): Mapping {
  const { offset = 0, readOnly = false, name = `fd ${fd}` } = checkOptions('options', options, MMAP_OPTIONS)!;
  checkDescriptor('fd', fd);
  checkInteger('length', length, 1);
  checkInteger('offset', offset, 0);
  checkBoolean('options.readOnly', readOnly);
  const prot = readOnly ? constants['PROT_READ']! : constants['PROT_READ']! | constants['PROT_WRITE']!;
  // Private when read-only, so that the guard can turn a stray write into a copy that no other process sees.
  const flags = readOnly ? constants['MAP_PRIVATE']! : constants['MAP_SHARED']!;
  const buffer = withRoom(() => native.mmap(length, prot, flags, fd, offset, slotOut));
  if (typeof buffer === 'number') {
    if (buffer === EOPNOTSUPP) {
      throw new UnsupportedError(
        `cannot map ${name}: this runtime (Electron?) forbids ArrayBuffers over memory that V8 does not own`,
      );
    }
    throw new SystemError(buffer, 'mmap', { path: name });
  }
  return mapping(buffer, slotOut[0]!, name);
}
/** The {@link Mapping} of a buffer that the addon created. */
export function mapping(buffer: ArrayBuffer, slot: number, name: string): Mapping {
  let open = true;
  return {
    buffer,
    check() {
      const damage = open ? native.mappingDamage(slot) : 0;
      if (damage === 0) return;
      throw new CorruptError(
        (damage & TRUNCATED) !== 0
          ? `${name} was truncated by another process while it was mapped; its bytes are lost. Close it and create it again`
          : `${name} is mapped read-only, but this process wrote to it; no other process sees that write. Open it without readOnly to write`,
      );
    },
    unmap() {
      if (!open) return;
      open = false;
      const result = native.munmap(slot, buffer);
      // EBUSY: the buffer was transferred; the memory is unmapped when the new one is collected.
      if (result !== EBUSY) check(result, 'munmap', { path: name });
      boundReserved();
    },
  };
}

/** Memory without a name, as a descriptor. `name` is only for /proc. Close-on-exec; pass `MFD_ALLOW_SEALING` to seal it. */
export function memfdCreate(name: string, flags = 0): number {
  checkPath('name', name);
  return check(native.memfdCreate(name, checkFlags('flags', flags) | constants['MFD_CLOEXEC']!), 'memfd_create', {
    path: name,
  });
}
/** Opens the POSIX segment `name`; `flags` are `O_RDONLY` or `O_RDWR`, with `O_CREAT`, `O_EXCL`, `O_TRUNC`. */
export function shmOpen(name: string, flags: number, mode = 0o600): number {
  const plain = checkName('name', name);
  return check(native.shmOpen(`/${plain}`, checkFlags('flags', flags), checkMode('mode', mode)), 'shm_open', {
    path: plain,
  });
}
/** Removes the name; a process that has it mapped keeps it. False if it does not exist. */
export function shmUnlink(name: string): boolean {
  const plain = checkName('name', name);
  const result = native.shmUnlink(`/${plain}`);
  if (result === ENOENT) return false;
  check(result, 'shm_unlink', { path: plain });
  return true;
}

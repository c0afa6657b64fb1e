/** Operations for semop(2), checked and in the kernel's form: three 16-bit numbers each. */
import { checkInteger } from '../system/arguments.js';
import { invalidArgument } from '../system/errors.js';
import { constants } from '../system/native.js';
import { SEM_VALUE_LIMIT } from '../system/sysv-semaphore.js';

/** One step of an atomic operation on a set. */
export interface SemaphoreOperation {
  /** Which semaphore of the set, from 0. */
  index: number;
  /**
   * Added to the value. A negative number takes permits (and waits until there are enough), a positive one releases them. 0 waits until the
   * value is 0.
   */
  delta: number;
  /** The kernel reverts the change when this process ends, in whatever way. */
  undo?: boolean;
}

const IPC_NOWAIT = constants['IPC_NOWAIT']!;
const SEM_UNDO = constants['SEM_UNDO']!;
/** More than any kernel accepts in one call, so that a mistake does not fill the memory. */
const MAX_OPERATIONS = 65535;

/** Checks `operations` against a set of `count` semaphores. */
export function pack(operations: readonly SemaphoreOperation[], count: number): Int16Array {
  if (!Array.isArray(operations)) {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', 'operations', 'an array of { index, delta, undo? }', operations);
  }
  const { length } = operations;
  if (length === 0 || length > MAX_OPERATIONS) {
    throw invalidArgument(
      'ERR_OUT_OF_RANGE',
      'operations',
      `an array of 1 to ${MAX_OPERATIONS} operations`,
      operations,
    );
  }
  const words = new Int16Array(3 * length);
  for (let i = 0; i < length; i++) {
    const operation: SemaphoreOperation | undefined = operations[i];
    if (operation === null || typeof operation !== 'object') {
      throw invalidArgument('ERR_INVALID_ARG_TYPE', `operations[${i}]`, 'an object { index, delta, undo? }', operation);
    }
    const { index, delta, undo } = operation;
    // Read once; the names for errors are built only if there is one.
    if (!(Number.isInteger(index) && index >= 0 && index < count)) {
      checkInteger(`operations[${i}].index`, index, 0, count - 1);
    }
    if (!(Number.isInteger(delta) && delta >= -SEM_VALUE_LIMIT && delta <= SEM_VALUE_LIMIT)) {
      checkInteger(`operations[${i}].delta`, delta, -SEM_VALUE_LIMIT, SEM_VALUE_LIMIT);
    }
    if (undo !== undefined && typeof undo !== 'boolean') {
      throw invalidArgument('ERR_INVALID_ARG_TYPE', `operations[${i}].undo`, 'a boolean', undo);
    }
    words[3 * i] = index;
    words[3 * i + 1] = delta;
    words[3 * i + 2] = undo === true ? SEM_UNDO : 0;
  }
  return words;
}
/** The same operations, either waiting or failing at once with EAGAIN. */
export function patient(words: Int16Array, wait: boolean): Int16Array {
  for (let i = 2; i < words.length; i += 3) words[i] = wait ? words[i]! & ~IPC_NOWAIT : words[i]! | IPC_NOWAIT;
  return words;
}

/** What semop(2) is asked to do, checked and in the form of the kernel: three 16-bit numbers for each operation. */
import { checkInteger } from '../system/arguments.js';
import { invalidArgument } from '../system/errors.js';
import { constants } from '../system/native.js';
import { SEM_VALUE_LIMIT } from '../system/sysv-semaphore.js';

/** One step of an atomic operation on a set. */
export interface SemaphoreOperation {
  /** Which semaphore of the set, from 0. */
  index: number;
  /**
   * Added to the value: negative takes permits (and waits until there are so many), positive gives. 0 waits until the value
   * is 0.
   */
  delta: number;
  /** The kernel takes the change back when this process ends, however it ends. */
  undo?: boolean;
}

const IPC_NOWAIT = constants['IPC_NOWAIT']!;
const SEM_UNDO = constants['SEM_UNDO']!;
/** Beyond what any kernel takes in one call, so that a mistake does not fill the memory. */
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
    // Read once; the names for errors are made only if there is one.
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
/** The same operations, to wait for or to fail at once with EAGAIN. */
export function patient(words: Int16Array, wait: boolean): Int16Array {
  for (let i = 2; i < words.length; i += 3) words[i] = wait ? words[i]! & ~IPC_NOWAIT : words[i]! | IPC_NOWAIT;
  return words;
}

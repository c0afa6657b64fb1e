/**
 * The async context (`AsyncLocalStorage`) of a receive that waits, and is tried again from the event loop: what the user gave to decode with
 * runs in that of the call. Our own codecs do not need one, and it would cost each wait half a microsecond.
 */
import { AsyncResource } from 'node:async_hooks';
import type { Task } from '../../system/wait-queue.js';
import type { Coder } from './coder.js';

type Decoding = Pick<Coder<unknown>, 'foreign'>;

export function inContext<T>(coder: Decoding, attempt: () => T): () => T {
  return coder.foreign === true ? AsyncResource.bind(attempt) : attempt;
}
/** Of a task that consists of attempts alone. */
export function taskInContext<T>(coder: Decoding, task: Task<T>): Task<T> {
  if (coder.foreign !== true) return task;
  const bound: Task<T> = { attempt: AsyncResource.bind(() => task.attempt()) };
  if (task.attemptAfresh !== undefined) bound.attemptAfresh = AsyncResource.bind(() => task.attemptAfresh!());
  return bound;
}

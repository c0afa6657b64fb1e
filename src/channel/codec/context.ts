/**
 * The async context (`AsyncLocalStorage`) of a waiting receive, which is tried again from the event loop: the user's decoder runs in the
 * context of the call. Our own codecs need none, and it would cost each wait half a microsecond.
 */
import { AsyncResource } from 'node:async_hooks';
import type { Task } from '../../system/wait-queue.js';
import type { Coder } from './coder.js';

type Decoding = Pick<Coder<unknown>, 'foreign'>;

export function inContext<T>(coder: Decoding, attempt: () => T): () => T {
  return coder.foreign === true ? AsyncResource.bind(attempt) : attempt;
}
/** For a task that consists only of attempts. */
export function taskInContext<T>(coder: Decoding, task: Task<T>): Task<T> {
  if (coder.foreign !== true) return task;
  const bound: Task<T> = { attempt: AsyncResource.bind(() => task.attempt()) };
  if (task.attemptAfresh !== undefined) bound.attemptAfresh = AsyncResource.bind(() => task.attemptAfresh!());
  return bound;
}

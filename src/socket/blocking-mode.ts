/** How the synchronous calls block. */
import { isMainThread } from 'node:worker_threads';
import { constants } from '../system/native.js';

/**
 * The flags of a call that may block. On the main thread the call itself blocks (one system call per message), until a call waits for the
 * socket in the event loop, which makes its descriptor non-blocking. From then on, and always in workers, which must return to JavaScript
 * to be terminated, the wait is a poll(2).
 */
export const BLOCKING: number = isMainThread ? 0 : constants['MSG_DONTWAIT']!;

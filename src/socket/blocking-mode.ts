/** How the Sync voice blocks. */
import { isMainThread } from 'node:worker_threads';
import { constants } from '../system/native.js';

/**
 * The flags of a call that may block. On the main thread the call itself blocks (one system call for a message) as long as
 * nobody has waited for the socket in the event loop, which makes its descriptor non-blocking; then, and in workers, which must
 * come back to JavaScript to be terminated, the wait is a poll(2).
 */
export const BLOCKING: number = isMainThread ? 0 : constants['MSG_DONTWAIT']!;

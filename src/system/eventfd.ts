/** eventfd(2). */
import { checkFlags, checkInteger } from './arguments.js';
import { check } from './errors.js';
import { constants, native } from './native.js';

const ALWAYS = constants['EFD_NONBLOCK']! | constants['EFD_CLOEXEC']!;

/**
 * A counter with a descriptor that you can wait on. Always close-on-exec and non-blocking, as the event loop needs it, whatever `flags`
 * say; you can add `EFD_SEMAPHORE`. For a blocking one, clear `O_NONBLOCK` by fcntl(2).
 */
export function eventfd(value = 0, flags = 0): number {
  return check(
    native.eventfd(checkInteger('value', value, 0, 0xffffffff), checkFlags('flags', flags) | ALWAYS),
    'eventfd',
  );
}

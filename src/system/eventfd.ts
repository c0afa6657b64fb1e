/** eventfd(2). */
import { checkFlags, checkInteger } from './arguments.js';
import { check } from './errors.js';
import { constants, native } from './native.js';

/** A counter with a descriptor that can be waited on. Close-on-exec and non-blocking, as the event loop needs it. */
export function eventfd(value = 0, flags: number = constants['EFD_NONBLOCK']!): number {
  return check(
    native.eventfd(checkInteger('value', value, 0, 0xffffffff), checkFlags('flags', flags) | constants['EFD_CLOEXEC']!),
    'eventfd',
  );
}

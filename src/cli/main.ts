#!/usr/bin/env node
/** The `vecino` command. Exit codes: 0 done, 1 the kernel or a peer said no, 2 wrong usage. */
import { fail, watchOutput } from './failure.js';

watchOutput();
try {
  // Imported here, so that what keeps it from being loaded (no addon, no descriptors) is one line too.
  await (await import('./program.js')).run();
} catch (error) {
  fail(error);
}

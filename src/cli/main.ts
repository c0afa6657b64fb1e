#!/usr/bin/env node
/** The `vecino` command. Exit codes: 0 success, 1 an error of the kernel or a peer, 2 wrong usage. */
import { fail, watchOutput } from './failure.js';

watchOutput();
try {
  // Imported here, so that a failure to load it (no addon, no descriptors) is reported in one line too.
  await (await import('./program.js')).run();
} catch (error) {
  fail(error);
}

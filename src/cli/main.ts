#!/usr/bin/env node
/** The `vecino` command. Exit codes: 0 done, 1 the kernel or a peer said no, 2 wrong usage. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addCopy } from './copy.js';

const { version, description } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
  description: string;
};
const program = new Command('vecino').description(description).version(version).exitOverride();
addCopy(program);
for (const command of program.commands)
  command.exitOverride().showHelpAfterError(`See vecino ${command.name()} --help`);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`vecino: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

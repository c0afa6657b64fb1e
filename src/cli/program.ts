/** The subcommands, and what their arguments have in common. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addCopy } from './copy.js';

/** Parses the command line and runs the command; throws all errors except those of wrong usage. */
export async function run(): Promise<void> {
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
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
}

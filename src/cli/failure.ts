/** Reports a failure of the command: one line on standard error, and exit code 1. */

/** Prints the error. Line breaks and escape sequences, which a file's name may contain, are shown and have no effect. */
export function fail(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`vecino: ${printable(message)}\n`);
  process.exitCode = 1;
}
/** The text with its control characters written as JSON writes them. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, (character) => {
    const short = JSON.stringify(character).slice(1, -1);
    return short.length > 1 ? short : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/**
 * Failures to print, which streams report when it is too late to catch them. A reader that has left (`| head`) has what it wanted: the exit
 * code is 1, because not everything was printed, but there is no message.
 */
export function watchOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exitCode = 1;
    else fail(new Error(`standard output: ${error.message}`));
  });
  process.stderr.on('error', () => {
    process.exitCode = 1;
  });
}

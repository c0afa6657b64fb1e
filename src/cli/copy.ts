/** vecino copy SOURCE DESTINATION --via MECHANISM */
import { type Command, InvalidArgumentError } from 'commander';
import { type CopyResult, copy, transports } from '../lab/copy/index.js';
import { formatBytes, formatTable, parseBytes } from './format.js';
import { interruptible } from './interrupt.js';
import { progressBar } from './progress.js';

const MAX_CHUNK_BYTES = 1 << 30;

export function addCopy(program: Command): void {
  const list = [...transports.values()].map(({ name, summary }) => `  ${name.padEnd(14)} ${summary}`).join('\n');
  program
    .command('copy')
    .summary('copy a file between two processes, and count what it costs')
    .description(
      'A server process reads SOURCE, and a client process writes DESTINATION. Shows the system calls and bytes of each.',
    )
    .argument('<SOURCE>', 'a regular file', path)
    .argument('<DESTINATION>', 'appears whole or not at all, with the mode of SOURCE', path)
    .option(
      '--via <mechanism>',
      `how the bytes get across: ${[...transports.keys()].join(', ')}`,
      mechanism,
      'shared-memory',
    )
    .option(
      '--chunk <bytes>',
      'bytes per system call, such as 65536, 64K or 1M (default: what serves the mechanism best)',
      chunk,
    )
    .option('--json', 'print one JSON value and nothing else')
    .addHelpText('after', `\nMechanisms:\n${list}\n\nExample:\n  vecino copy big.iso copy.iso --via shared-memory`)
    .action(async (source: string, destination: string, options: { via: string; chunk?: number; json?: boolean }) => {
      const bar = options.json ? undefined : progressBar(process.stderr);
      const result = await interruptible(async (signal) => {
        try {
          return await copy({
            source,
            destination,
            via: options.via,
            signal,
            ...(options.chunk === undefined ? {} : { chunk: options.chunk }),
            ...(bar === undefined ? {} : { onProgress: bar.update }),
          });
        } finally {
          bar?.end();
        }
      });
      process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : describe(result));
    });
}

function path(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  return text;
}
function mechanism(name: string): string {
  if (!transports.has(name)) throw new InvalidArgumentError(`Known are ${[...transports.keys()].join(', ')}.`);
  return name;
}
function chunk(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes < 1 || bytes > MAX_CHUNK_BYTES) {
    throw new InvalidArgumentError(`It must be from 1 to ${MAX_CHUNK_BYTES} bytes, such as 65536, 64K or 1M.`);
  }
  return bytes;
}

function describe(result: CopyResult): string {
  const { server, client } = result.processes;
  const row = (name: string, account: typeof server) => [
    name,
    formatBytes(account.bytesFromKernel),
    formatBytes(account.bytesToKernel),
    formatBytes(account.bytesWithinKernel),
    String(account.systemCalls),
    `${account.cpuSeconds.user.toFixed(2)} + ${account.cpuSeconds.system.toFixed(2)} s`,
    formatBytes(account.maxResidentBytes),
  ];
  const table = formatTable([
    ['process', 'from kernel', 'to kernel', 'within kernel', 'system calls', 'CPU user + system', 'memory'],
    row('server', server),
    row('client', client),
  ]);
  const grew = result.sourceGrew ? 'SOURCE grew during the copy; its original length was copied.\n' : '';
  return (
    `${formatBytes(result.bytes)} via ${result.via} in ${result.seconds.toFixed(3)} s: ${result.megabytesPerSecond.toFixed(0)} MB/s\n\n` +
    `${table}\n\ncopies per byte: ${result.copiesPerByte.toFixed(2)}\nSHA-256: ${result.sha256.destination} (both files)\n${grew}`
  );
}

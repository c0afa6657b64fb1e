/** Queues that are gone when the test is over, and the sentences that tests check. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { afterEach } from 'node:test';
import { ClosedError, MessageQueue, type MessageQueueOptions, SysVMessageQueue, type SysVQueueOptions } from 'vecino';
import { root, start, uniqueName } from '../support/processes.js';

const made: { close(): void; gone(): void }[] = [];
afterEach(() => {
  for (const { close, gone } of made.splice(0)) {
    gone();
    close();
  }
});

/** A new POSIX queue, small because the kernel counts the bytes of all. */
export function posix(options: MessageQueueOptions = {}): MessageQueue {
  const queue = MessageQueue.create(uniqueName('queue'), { maxMessages: 4, messageSize: 64, ...options });
  made.push({ close: () => queue.close(), gone: () => queue.unlink() });
  return queue;
}
/** A new System V queue. */
export function sysv(options: SysVQueueOptions = {}, key: number | 'private' = 'private'): SysVMessageQueue {
  const queue = SysVMessageQueue.create(key, options);
  made.push({
    close: () => queue.close(),
    gone: () => {
      try {
        SysVMessageQueue.open({ id: queue.id }).remove();
      } catch {
        // The test has removed it.
      }
    },
  });
  return queue;
}
/** A key that nobody is likely to use. */
export function uniqueKey(): number {
  return randomInt(2, 0x7fffffff);
}

export const text = ({ content }: { content: Uint8Array } = { content: new Uint8Array(0) }) =>
  Buffer.from(content).toString();
export const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;
export const closed = (error: unknown) => error instanceof ClosedError;

/** Fails with `code` in all three voices. */
export async function refuses(expected: string, calls: readonly (() => unknown)[]): Promise<void> {
  for (const call of calls) await assert.rejects(async () => call(), code(expected));
}
/** Why a program cannot be run here as `command` would have it, or `false`: for `skip`. */
export function missing(command: string, ...args: string[]): string | false {
  return spawnSync(command, args).status === 0 ? false : `${[command, ...args].join(' ')} does not work here`;
}

/** Runs a script under a command that sets limits, and gives what it printed. `attempt(call)` there prints the error of a call. */
export async function limited(command: readonly string[], source: string): Promise<string> {
  const program = `import { MessageQueue, SysVMessageQueue } from 'vecino/mailbox';
    const attempt = (call) => { try { return call(); } catch (error) { console.log(error.code + ' ' + error.message); } };
    ${source}`;
  const [tool, ...args] = [...command, process.execPath, '--input-type=module', '--eval', program];
  const { code, stdout, stderr } = await start(tool!, args, { cwd: root }).ended;
  assert.equal(code, 0, stderr);
  return stdout;
}
/** A command that gives a program queues and limits of its own, and no privilege to exceed them. */
export const namespace = ['unshare', '--user', '--map-root-user', '--ipc'];
export const noNamespace = missing(namespace[0]!, ...namespace.slice(1), 'true');
/** The same with limits of /proc/sys set. */
export const withLimits = (limits: Record<string, number>) => [
  ...namespace,
  'sh',
  '-c',
  `${Object.entries(limits)
    .map(([path, value]) => `echo ${value} > /proc/sys/${path}`)
    .join(' && ')} && exec "$@"`,
  'sh',
];
export const noLimits = missing(...(withLimits({ 'kernel/msgmax': 8192 }) as [string]), 'true');
/** A command without the superuser's right to pass over permissions; nothing is needed for others. */
const root0 = process.getuid!() === 0;
export const powerless = root0 ? ['setpriv', '--inh-caps=-all', '--bounding-set=-all'] : ['env'];
export const noPowerless = missing(...(powerless as [string]), 'true');

/** Queues for tests, each with a name of its own, in a runtime folder that goes when the file's tests are over. */
import { Queue, type QueueOptions } from 'vecino';
import { startScript, temporaryFolder, uniqueName } from '../../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
export function queueName(): string {
  return uniqueName('queue');
}
export function openQueue<T>(options?: QueueOptions<T>): Promise<Queue<T>> {
  return Queue.open<T>(queueName(), options);
}
/** Runs `source` in another process, which has the queue `name` open as `queue` and dies with us. */
export function another(name: string, source: string, args: readonly string[] = []): ReturnType<typeof startScript> {
  return startScript(
    `
    import { Queue } from 'vecino/channel';
    import { native } from '#src/system/native.js';
    native.setParentDeathSignal(9);
    const [, name, ...args] = process.argv;
    const queue = await Queue.open(name);
    const say = (text) => process.stdout.write(text + '\\n');
    ${source}`,
    [name, ...args],
  );
}

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Topic } from 'vecino';
import { startScript, temporaryFolder, uniqueName } from '../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();

/** Two processes answer each other, and both sleep in between: with one wake-up lost, both sleep for ever. */
for (const [voice, rounds] of [
  ['receiveSync()', 40_000],
  ['await receive()', 10_000],
] as const) {
  test(`Topic: no wake-up is lost in ${2 * rounds} sleeps of a topic's subscribers (${voice})`, {
    timeout: 300_000,
  }, async () => {
    const [asked, answered] = [uniqueName('asked'), uniqueName('answered')];
    const take = voice === 'receiveSync()' ? 'theirs.receiveSync()' : 'await theirs.receive()';
    const program = (first: boolean) =>
      startScript(
        `import { Topic } from 'vecino/channel';
         import { native } from '#src/system/native.js';
         native.setParentDeathSignal(9);
         const options = { codec: 'text', spin: 0, capacity: 4096 };
         const mine = await Topic.open('${first ? asked : answered}', options);
         const theirs = (await Topic.open('${first ? answered : asked}', options)).subscribe();
         console.log('ready');
         await new Promise((resolve) => process.stdin.once('data', resolve));
         for (let i = 0; i < ${rounds}; i++) {
           ${first ? `mine.tryPublish(String(i)); if (${take} !== String(i)) throw new Error('wrong');` : `mine.tryPublish(${take});`}
         }
         console.log(theirs.lost);
         process.exit();`,
      );
    // Kept open, so that neither misses what the other says first.
    using _asked = await Topic.open(asked, { codec: 'text', capacity: 4096 });
    using _answered = await Topic.open(answered, { codec: 'text', capacity: 4096 });
    const processes = [program(true), program(false)];
    for (const each of processes) assert.equal(await each.line(), 'ready');
    for (const each of [...processes].reverse()) each.write('go\n');
    for (const each of processes) {
      const { code, stdout, stderr } = await each.ended;
      assert.deepEqual([code, stdout.trim().split('\n').at(-1), stderr], [0, '0', '']);
    }
  });
}

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { MessageQueue } from 'vecino';
import { compile, runScript, start, startScript, temporaryFolder } from '../support/processes.js';
import { asleep } from '../support/tasks.js';
import { posix, text } from './support.js';

const folder = temporaryFolder();
const peer = compile(
  folder,
  'peer',
  `#include <fcntl.h>
   #include <mqueue.h>
   #include <stdio.h>
   #include <stdlib.h>
   #include <string.h>
   int main(int count, char **words) { /* /name send CONTENT PRIORITY | receive N | create */
     if (strcmp(words[2], "create") == 0) {
       struct mq_attr attributes = {.mq_maxmsg = 3, .mq_msgsize = 32};
       mqd_t queue = mq_open(words[1], O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
       return queue < 0 || mq_send(queue, "from C", 6, 4) != 0;
     }
     mqd_t queue = mq_open(words[1], O_RDWR);
     struct mq_attr attributes;
     if (queue < 0 || mq_getattr(queue, &attributes) != 0) return 1;
     if (strcmp(words[2], "send") == 0) return mq_send(queue, words[3], strlen(words[3]), atoi(words[4])) != 0;
     for (int i = atoi(words[3]); i > 0; i--) {
       char content[attributes.mq_msgsize];
       unsigned priority;
       ssize_t length = mq_receive(queue, content, sizeof content, &priority);
       if (length < 0) return 1;
       printf("%.*s %u\\n", (int)length, content, priority);
       fflush(stdout);
     }
     return 0;
   }`,
);

test('MessageQueue: a C program receives what was sent, and is received from, both waiting first', async () => {
  const queue = posix();
  const receiver = start(peer, [`/${queue.name}`, 'receive', '2']);
  await asleep(receiver.pid);
  await queue.send('ñandú', { priority: 3 });
  assert.equal(await receiver.line(), 'ñandú 3');
  queue.sendSync('x', { priority: 32767 });
  assert.equal((await receiver.ended).stdout, 'ñandú 3\nx 32767\n');
  const waiting = queue.receive();
  assert.equal((await start(peer, [`/${queue.name}`, 'send', 'hello', '7']).ended).code, 0);
  assert.deepEqual(await waiting, { content: new Uint8Array(Buffer.from('hello')), priority: 7 });
});

test('MessageQueue: a queue that a C program made can be opened, with its attributes', async () => {
  const name = `${posix().name}-c`;
  assert.equal((await start(peer, [`/${name}`, 'create']).ended).code, 0);
  const queue = MessageQueue.open(name);
  assert.equal(queue.unlink(), true);
  assert.deepEqual(queue.attributes, { maxMessages: 3, messageSize: 32, currentMessages: 1 });
  assert.deepEqual(queue.tryReceive(), { content: new Uint8Array(Buffer.from('from C')), priority: 4 });
  queue.close();
});

const receiver = (how: string) => `
  import { writeSync } from 'node:fs';
  import { MessageQueue } from 'vecino';
  const queue = MessageQueue.open(process.argv.at(-1));
  writeSync(1, 'ready\\n');
  ${how};`;

for (const how of ['await queue.receive()', 'queue.receiveSync()', 'queue.receiveSync({ timeout: 1e6 })']) {
  test(`MessageQueue: a receiver killed in ${how} takes no message with it, and others go on`, async () => {
    const queue = posix();
    const doomed = startScript(receiver(how), [queue.name]);
    const other = startScript(receiver('console.log(Buffer.from((await queue.receive()).content).toString())'), [
      queue.name,
    ]);
    await Promise.all([doomed.line(), other.line()]);
    await Promise.all([asleep(doomed.pid), asleep(other.pid)]);
    await doomed.kill('SIGKILL');
    queue.sendSync('kept');
    assert.equal(await other.line(), 'kept');
    assert.equal((await other.ended).code, 0);
  });
}

for (const how of ["await queue.send('lost')", "queue.sendSync('lost')"]) {
  test(`MessageQueue: a sender killed in ${how} on a full queue has not sent, and others go on`, async () => {
    const queue = posix({ maxMessages: 1 });
    queue.sendSync('first');
    const doomed = startScript(receiver(how), [queue.name]);
    await doomed.line();
    await asleep(doomed.pid);
    await doomed.kill('SIGKILL');
    assert.equal(text(queue.receiveSync()), 'first');
    assert.equal(queue.trySend('second'), true);
    assert.equal(text(queue.receiveSync()), 'second');
    assert.equal(queue.tryReceive(), undefined);
  });
}

test('MessageQueue: no message is lost or doubled by receives that are aborted and time out while another process sends', async () => {
  const queue = posix({ maxMessages: 3 });
  const count = 3000;
  const sender = startScript(receiver(`for (let i = 0; i < ${count}; i++) queue.sendSync(String(i))`), [queue.name]);
  for (let next = 0; next < count; ) {
    const controller = new AbortController();
    setImmediate(() => controller.abort('enough'));
    const results = await Promise.allSettled([
      queue.receive({ signal: controller.signal }),
      queue.receive({ timeout: Math.random() }),
      queue.receive({ signal: controller.signal }),
    ]);
    for (const result of results) {
      if (result.status === 'fulfilled') assert.equal(text(result.value), String(next++));
    }
  }
  assert.equal((await sender.ended).code, 0);
  assert.equal(queue.tryReceive(), undefined);
});

test('MessageQueue: a send that timed out was not sent, one that succeeded was, in order', async () => {
  const queue = posix({ maxMessages: 2 });
  const count = 1000;
  const reader = startScript(
    receiver(`for (let i = 0; i < ${count}; i++) console.log(Buffer.from(queue.receiveSync().content).toString())`),
    [queue.name],
  );
  const sent: number[] = [];
  for (let i = 0; sent.length < count; i++) {
    try {
      await queue.send(String(i), { timeout: i % 3 });
      sent.push(i);
    } catch {
      // Full for too long.
    }
  }
  const { stdout } = await reader.ended;
  assert.deepEqual(stdout.trim().split('\n').slice(1).map(Number), sent);
});

test('MessageQueue: a worker that is terminated while it waits, in any voice, ends, and takes no message', async () => {
  const queue = posix({ maxMessages: 1 });
  for (const how of ['queue.receive()', 'queue.receiveSync()', "queue.send('y')", "queue.sendSync('y')"]) {
    const full = how.includes('send');
    if (full) queue.sendSync('x');
    const before = readdirSync('/proc/self/fd').length;
    const worker = new Worker(
      new URL(
        `data:text/javascript,${encodeURIComponent(`
          import { parentPort } from 'node:worker_threads';
          import { MessageQueue } from ${JSON.stringify(import.meta.resolve('vecino'))};
          {
            const queue = MessageQueue.open('${queue.name}');
            parentPort.postMessage('open');
            ${how};
          }`)}`,
      ),
    );
    await new Promise((resolve) => worker.once('message', resolve));
    await new Promise((resolve) => setImmediate(resolve));
    await worker.terminate();
    assert.equal(readdirSync('/proc/self/fd').length, before);
    if (!full) queue.sendSync('x');
    assert.equal(text(queue.receiveSync()), 'x', how);
    assert.equal(queue.tryReceive(), undefined, how);
  }
});

test('MessageQueue: a pending receive keeps the program running until it is closed', async () => {
  const queue = posix();
  const script = receiver(`
    const waiting = queue.receive().catch((error) => console.log(error.code));
    setTimeout(() => queue.close(), 20);
    await waiting`);
  assert.equal(await runScript(script, [queue.name]), 'ready\nERR_VECINO_CLOSED\n');
});

test('MessageQueue: mq_notify of another program fires although a receive waits, which gets the message', async () => {
  const notified = compile(
    folder,
    'notified',
    `#include <fcntl.h>
     #include <mqueue.h>
     #include <signal.h>
     #include <stdio.h>
     int main(int count, char **words) {
       struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
       sigset_t set;
       sigemptyset(&set);
       sigaddset(&set, SIGUSR1);
       sigprocmask(SIG_BLOCK, &set, NULL);
       mqd_t queue = mq_open(words[1], O_RDONLY);
       if (queue < 0 || mq_notify(queue, &event) != 0) return 1;
       puts("registered");
       fflush(stdout);
       return sigwaitinfo(&set, NULL) == SIGUSR1 ? puts("notified") < 0 : 2;
     }`,
  );
  const queue = posix({ maxMessages: 3, messageSize: 32 });
  const received = queue.receive();
  const program = start(notified, [`/${queue.name}`]);
  assert.equal(await program.line(), 'registered');
  queue.sendSync('once');
  assert.equal(text(await received), 'once');
  assert.equal(await program.line(), 'notified');
  assert.equal((await program.ended).code, 0);
  queue.unlink();
  queue.close();
});

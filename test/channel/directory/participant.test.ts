import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listen, MismatchError, Queue, Topic } from 'vecino';
import { CONTROL_SIZE, type Description } from '#src/channel/directory/control-file.js';
import { Doorbell } from '#src/channel/directory/doorbell.js';
import { remove } from '#src/channel/directory/life.js';
import { findChannels } from '#src/channel/directory/list.js';
import { Participant } from '#src/channel/directory/participant.js';
import { Deadline } from '#src/system/deadline.js';
import { mmap } from '#src/system/memory.js';
import { constants } from '#src/system/native.js';
import { pollOne } from '#src/system/poll.js';
import { READABLE } from '#src/system/readiness.js';
import { startScript, temporaryFolder, uniqueName } from '../../support/processes.js';

const POLLIN = constants['POLLIN']!;
process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const topic: Description = { kind: 'topic', codec: 'json', geometry: { capacity: 4096 } };

test('Channel directory: a channel is there as long as somebody takes part, and gone with the last', () => {
  const name = uniqueName();
  const first = Participant.open(name, topic);
  const second = Participant.open(name, topic);
  assert.equal(second.isTaken(first.seat), true);
  assert.notEqual(first.seat, second.seat);
  assert.deepEqual(
    findChannels().map((each) => [each.name, each.participants.length]),
    [[name, 2]],
  );
  first.close();
  assert.equal(second.isTaken(first.seat), false);
  assert.ok(existsSync(second.folder));
  second.close();
  assert.ok(!existsSync(second.folder));
});

test('Channel directory: another kind, codec or size is refused with both', () => {
  const name = uniqueName();
  using first = Participant.open(name, topic);
  const open = (other: Partial<Description>) => () =>
    Participant.open(name, { ...topic, ...other }, { insist: ['capacity'] });
  assert.throws(open({ kind: 'queue' }), MismatchError);
  assert.throws(open({ codec: 'text' }), /codec json, but text/);
  assert.throws(open({ geometry: { capacity: 8192 } }), /capacity of 4096, but 8192/);
  assert.equal(first.seat, 0);
});

test('Channel directory: what a killed process leaves is removed by the next that opens or lists it', {
  timeout: 60_000,
}, async () => {
  for (const next of ['open', 'list']) {
    const name = uniqueName();
    const dead = startScript(`
      import { Participant } from '#src/channel/directory/participant.js';
      import { Doorbell } from '#src/channel/directory/doorbell.js';
      const participant = Participant.open(${JSON.stringify(name)}, ${JSON.stringify({ ...topic, codec: 'text' })});
      new Doorbell(participant);
      console.log(participant.folder);
      setInterval(() => {}, 1e6);`);
    const folder = (await dead.line()).trim();
    assert.deepEqual(readdirSync(folder).sort(), ['bell-0', 'control']);
    await dead.kill('SIGKILL');
    if (next === 'list') assert.deepEqual(findChannels(), []);
    else Participant.open(name, topic).close();
    assert.ok(!existsSync(folder));
  }
});

test('Channel directory: a folder without a control file, left by a maker that died, is completed', () => {
  const name = uniqueName();
  mkdirSync(join(process.env['VECINO_RUNTIME_DIR']!, name));
  using participant = Participant.open(name, topic);
  assert.equal(participant.seat, 0);
});

test('Channel directory: a channel that was removed and not cleared away, for its remover was stopped or killed, holds up nobody', () => {
  const beginnings = [
    (folder: string) => rmSync(join(folder, 'slots')),
    (folder: string) => rmSync(join(folder, 'control')),
    (folder: string) => rmSync(join(folder, 'slots')) ?? rmSync(join(folder, 'control')),
    () => {},
  ];
  for (const next of ['open', 'list'] as const) {
    for (const begin of beginnings) {
      const name = uniqueName();
      const participant = Participant.open(name, topic);
      writeFileSync(participant.path('slots'), 'x');
      participant.close('keep');
      const fd = openSync(join(participant.folder, 'control'), 'r+');
      const mapping = mmap(fd, CONTROL_SIZE);
      assert.ok(remove(new Int32Array(mapping.buffer), () => true)); // as the last one does
      mapping.unmap();
      closeSync(fd);
      begin(participant.folder);
      if (next === 'list') assert.deepEqual(findChannels(), []);
      else {
        using participant = Participant.open(name, { ...topic, codec: 'text' });
        assert.deepEqual(readdirSync(participant.folder), ['control']);
      }
      assert.ok(!existsSync(participant.folder));
    }
  }
});

test('Channel directory: a maker that is stopped or killed before its channel has its name holds up nobody, and leaves nothing for long', () => {
  const root = process.env['VECINO_RUNTIME_DIR']!;
  const name = uniqueName();
  for (const files of [[], ['control.new']]) {
    const young = join(root, '~young');
    const old = join(root, '~old');
    for (const folder of [young, old]) {
      mkdirSync(folder);
      for (const file of files) writeFileSync(join(folder, file), '');
    }
    utimesSync(old, 1, 1);
    Participant.open(name, topic).close();
    assert.deepEqual(findChannels(), []);
    assert.deepEqual(readdirSync(root), ['~young']);
    rmSync(young, { recursive: true });
  }
});

test('Queues: another kind of channel of that name is refused while nobody has the queue open, and its messages stay', async () => {
  const name = uniqueName();
  const queue = await Queue.open<string>(name);
  await queue.send('kept');
  queue.close();
  await assert.rejects(Topic.open(name), MismatchError);
  await assert.rejects(listen(name), MismatchError);
  using again = await Queue.open<string>(name);
  assert.equal(again.tryReceive()?.value, 'kept');
  Queue.unlink(name);
});

test("Queues: what a killed process has left under the name of another kind of channel is in nobody's way", {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  const dead = startScript(`
    import { Topic } from 'vecino';
    globalThis.topic = await Topic.open(${JSON.stringify(name)});
    console.log('open');
    setInterval(() => {}, 1e6);`);
  await dead.line();
  await dead.kill('SIGKILL');
  (await Queue.open(name)).close();
  Queue.unlink(name);
});

test('Channel directory: a process that is killed while channels are opened and closed leaves nothing that the others do not clear away', {
  timeout: 120_000,
}, async () => {
  const name = uniqueName();
  const source = `
    import { Participant } from '#src/channel/directory/participant.js';
    for (let i = 0; ; i++) {
      const participant = Participant.open(${JSON.stringify(name)}, ${JSON.stringify(topic)});
      participant.check();
      participant.close();
      if (i === 0) console.log('going');
    }`;
  for (let round = 0; round < 4; round++) {
    const processes = [1, 2, 3].map(() => startScript(source));
    await Promise.all(processes.map((each) => each.line()));
    for (const [index, each] of processes.entries()) {
      for (let i = 0; i <= index * 20; i++) Participant.open(name, topic).close();
      const { stderr } = await each.kill('SIGKILL');
      assert.equal(stderr, '');
    }
    for (const each of readdirSync(process.env['VECINO_RUNTIME_DIR']!))
      utimesSync(join(process.env['VECINO_RUNTIME_DIR']!, each), 1, 1);
    findChannels();
    assert.deepEqual(readdirSync(process.env['VECINO_RUNTIME_DIR']!), []);
  }
});

test('Channel directory: a bell wakes who waits, is quiet after, and says when nobody is there', {
  timeout: 60_000,
}, async () => {
  const name = uniqueName();
  using a = Participant.open(name, topic);
  using b = Participant.open(name, topic);
  const mine = new Doorbell(a);
  const yours = new Doorbell(b);
  const woken = new Promise<void>((resolve) => yours.notify({ events: READABLE, settle: () => resolve() }));
  assert.equal(mine.ring(b.seat), true);
  for (let i = 0; i < 1000; i++) assert.equal(mine.ring(b.seat), true);
  const alive = setInterval(() => {}, 1000); // a bell keeps no program running; the object that waits does
  await woken;
  clearInterval(alive);
  pollOne(yours.fd, POLLIN, new Deadline('wait'));
  while (true) {
    yours.quiet();
    try {
      pollOne(yours.fd, POLLIN, new Deadline('wait', { timeout: 0 }));
    } catch {
      break;
    }
  }
  const { seat } = b;
  yours.close();
  assert.equal(mine.ring(seat), true, 'without its bell its owner is woken otherwise');
  b.close();
  assert.equal(mine.ring(seat), false);
  mine.close();
});

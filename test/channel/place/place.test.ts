import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MismatchError } from 'vecino';
import type { Description } from '#src/channel/place/control-file.js';
import { Doorbell } from '#src/channel/place/doorbell.js';
import { listPlaces } from '#src/channel/place/list.js';
import { Place } from '#src/channel/place/place.js';
import { Deadline } from '#src/system/deadline.js';
import { setFileLock } from '#src/system/file-lock.js';
import { constants } from '#src/system/native.js';
import { pollOne } from '#src/system/poll.js';
import { READABLE } from '#src/system/readiness.js';
import { startScript, temporaryFolder, uniqueName } from '../../support/processes.js';

const POLLIN = constants['POLLIN']!;
process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();
const topic: Description = { kind: 'topic', codec: 'json', geometry: { capacity: 4096 } };

test('a channel is there as long as somebody takes part, and gone with the last', () => {
  const name = uniqueName();
  const first = Place.open(name, topic);
  const second = Place.open(name, topic);
  assert.equal(second.isTaken(first.seat), true);
  assert.notEqual(first.seat, second.seat);
  assert.deepEqual(
    listPlaces().map((each) => [each.name, each.participants.length]),
    [[name, 2]],
  );
  first.close();
  assert.equal(second.isTaken(first.seat), false);
  assert.ok(existsSync(second.folder));
  second.close();
  assert.ok(!existsSync(second.folder));
});

test('another kind, codec or size is refused with both', () => {
  const name = uniqueName();
  using first = Place.open(name, topic);
  const open = (other: Partial<Description>) => () =>
    Place.open(name, { ...topic, ...other }, { insist: ['capacity'] });
  assert.throws(open({ kind: 'queue' }), MismatchError);
  assert.throws(open({ codec: 'text' }), /codec json, and text/);
  assert.throws(open({ geometry: { capacity: 8192 } }), /capacity of 4096, and 8192/);
  assert.equal(first.seat, 0);
});

test('what a killed process leaves is removed by the next that opens or lists it', { timeout: 60_000 }, async () => {
  for (const next of ['open', 'list']) {
    const name = uniqueName();
    const dead = startScript(`
      import { Place } from '#src/channel/place/place.js';
      import { Doorbell } from '#src/channel/place/doorbell.js';
      const place = Place.open(${JSON.stringify(name)}, ${JSON.stringify({ ...topic, codec: 'text' })});
      new Doorbell(place);
      console.log(place.folder);
      setInterval(() => {}, 1e6);`);
    const folder = (await dead.line()).trim();
    assert.deepEqual(readdirSync(folder).sort(), ['bell-0', 'control']);
    await dead.kill('SIGKILL');
    if (next === 'list') assert.deepEqual(listPlaces(), []);
    else Place.open(name, topic).close();
    assert.ok(!existsSync(folder));
  }
});

test('a folder without a control file, left by a maker that died, is completed', () => {
  const name = uniqueName();
  mkdirSync(join(process.env['VECINO_RUNTIME_DIR']!, name));
  using place = Place.open(name, topic);
  assert.equal(place.seat, 0);
});

test('a channel that somebody is removing is not listed with those who might have locked it', () => {
  const name = uniqueName();
  const place = Place.open(name, topic);
  place.close('keep');
  const fd = openSync(join(place.folder, 'control'), 'r+');
  setFileLock(fd, 'exclusive', 0, 0); // as whoever removes it does first
  assert.deepEqual(listPlaces(), []);
  closeSync(fd);
  assert.ok(existsSync(place.folder));
  assert.deepEqual(listPlaces(), []);
  assert.ok(!existsSync(place.folder));
});

test('a bell wakes who waits, is quiet after, and says when nobody is there', { timeout: 60_000 }, async () => {
  const name = uniqueName();
  using a = Place.open(name, topic);
  using b = Place.open(name, topic);
  const mine = new Doorbell(a);
  const yours = new Doorbell(b);
  const woken = new Promise<void>((resolve) => yours.notify({ events: READABLE, settle: () => resolve() }));
  assert.equal(mine.ring(b.seat), true);
  for (let i = 0; i < 1000; i++) assert.equal(mine.ring(b.seat), true);
  await woken;
  pollOne(yours.fd, POLLIN, new Deadline('wait'));
  while (true) {
    yours.quiet();
    try {
      pollOne(yours.fd, POLLIN, new Deadline('wait', { timeout: 0 }));
    } catch {
      break;
    }
  }
  yours.close();
  assert.equal(mine.ring(b.seat), false);
  mine.close();
});

import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Doorbell } from '#src/channel/directory/doorbell.js';
import { Participant } from '#src/channel/directory/participant.js';
import { Deadline } from '#src/system/deadline.js';
import { constants } from '#src/system/native.js';
import { pollOne } from '#src/system/poll.js';
import { temporaryFolder, uniqueName } from '../../support/processes.js';

const POLLIN = constants['POLLIN']!;
process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();

test('Doorbell: a bell is heard however many others were rung and are not quieted', { timeout: 60_000 }, () => {
  const name = uniqueName();
  const places = Array.from({ length: 60 }, () => Participant.open(name, { kind: 'topic', codec: 'x', geometry: {} }));
  const bells = places.map((participant) => new Doorbell(participant));
  const [mine, ...others] = bells as [Doorbell, ...Doorbell[]];
  for (const { seat } of places.slice(1)) for (let i = 0; i < 20; i++) assert.equal(mine.ring(seat), true);
  for (const bell of others) pollOne(bell.fd, POLLIN, new Deadline('hear a bell', { timeout: 100 }));
  for (const bell of bells) bell.close();
  for (const participant of places) participant.close();
});

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { get } from 'node:http';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { install, lineLike } from './support.js';

const { run } = install('telemetry');

interface Event {
  sample: { name: string; pid: number; memory: number };
  lost: number;
}
/** The samples that the page would get. */
async function* events(address: string): AsyncGenerator<Event> {
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) =>
    get(`${address}events`, resolve).once('error', reject),
  );
  try {
    for await (const line of createInterface({ input: response }))
      if (line.startsWith('data: ')) yield JSON.parse(line.slice('data: '.length));
  } finally {
    response.destroy();
  }
}

test('Example telemetry: the dashboard shows every sensor, and goes on when one is killed', async () => {
  const [indoor, outdoor] = [run('sensor.js', ['indoor']), run('sensor.js', ['outdoor'])];
  const dashboard = run('dashboard.js', [], { PORT: '0' });
  const [address] = await lineLike(dashboard, /^dashboard on (http:\S+)$/);
  assert.match(await (await fetch(address!)).text(), /<title>Telemetry<\/title>/);

  const names = new Map<string, number>();
  for await (const { sample } of events(address!)) {
    assert.ok(sample.memory > 0);
    names.set(sample.name, sample.pid);
    if (names.size === 2) break;
  }
  assert.deepEqual(
    names,
    new Map([
      ['indoor', indoor.pid],
      ['outdoor', outdoor.pid],
    ]),
  );

  await indoor.kill('SIGKILL');
  const late = run('sensor.js', ['late']); // takes over the ring of the dead one
  const after = new Set<string>();
  for await (const { sample, lost } of events(address!)) {
    assert.equal(lost, 0);
    after.add(sample.name);
    if (after.has('outdoor') && after.has('late')) break;
  }
  for (const program of [outdoor, late, dashboard]) {
    const { code, stdout, stderr } = await program.kill('SIGINT');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /stopped\n$/);
  }
});

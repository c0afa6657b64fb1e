import '../support/leaks.js';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Browser, noBrowser } from '../support/browser.js';
import { temporaryFolder } from '../support/processes.js';
import { install, lineLike } from './support.js';

const { run } = install('telemetry');
const profile = join(temporaryFolder(), 'profile');

/** What the table shows; asked again until it is as expected. */
const ROWS = `[...document.querySelectorAll('tbody tr')].map((row) => ({
  name: row.cells[0].textContent, pid: Number(row.cells[1].textContent), memory: Number(row.cells[2].textContent), silent: row.className === 'silent' }))`;
const until = (condition: string) =>
  `new Promise((resolve) => { const look = () => { const rows = ${ROWS}; if (${condition}) resolve(rows); else setTimeout(look, 50); }; look(); })`;
interface Row {
  name: string;
  pid: number;
  memory: number;
  silent: boolean;
}

test('Example telemetry: its page shows every sensor in a browser, and strikes out the one that was killed', {
  skip: noBrowser,
}, async () => {
  const [indoor, outdoor] = [run('sensor.js', ['indoor']), run('sensor.js', ['outdoor'])];
  const dashboard = run('dashboard.js', [], { PORT: '0' });
  const [address] = await lineLike(dashboard, /^dashboard on (http:\S+)$/);

  const browser = await Browser.start(profile);
  try {
    const said: string[] = [];
    browser.on((method, params) => {
      if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded') said.push(JSON.stringify(params));
    });
    await browser.open(address!);
    assert.equal(await browser.evaluate('document.title'), 'Telemetry');
    const rows = await browser.evaluate<Row[]>(until('rows.length === 2'));
    const pids = new Map(rows.map(({ name, pid }) => [name, pid]));
    assert.deepEqual([pids.get('indoor'), pids.get('outdoor')], [indoor.pid, outdoor.pid]);
    assert.ok(rows.every(({ memory }) => memory > 1));

    await indoor.kill('SIGKILL');
    const after = await browser.evaluate<Row[]>(
      until(`rows.some(({ silent }) => silent) && rows.some(({ name, silent }) => name === 'outdoor' && !silent)`),
    );
    assert.equal(after.find(({ silent }) => silent)!.name, 'indoor');
    assert.equal(await browser.evaluate(`document.querySelector('b').textContent`), '0');
    assert.deepEqual(said, []);
  } finally {
    await browser.close();
  }
  for (const program of [outdoor, dashboard]) {
    const { code, stderr } = await program.kill('SIGINT');
    assert.equal(code, 0, stderr);
  }
});

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants } from 'vecino/system';
import { startScript, temporaryFolder } from '../support/processes.js';
import { compileQueue, pendingLimit, startLimited } from './support.js';

const queue = compileQueue(temporaryFolder());
const number = String(constants['SIGRTMIN']! + 1);
const limit = pendingLimit();

test('Signals: 100,000 real-time signals while the event loop is busy: all come, in order', {
  skip: limit < 40_000 && `only ${limit} signals may be pending here`,
  timeout: 120_000,
}, async () => {
  // spawnSync blocks this event loop until the sender has sent the last.
  const { stdout, stderr, code } = await startScript(
    `import { spawnSync } from 'node:child_process';
    import { signals } from 'vecino';
    let expected = 0;
    const subscription = signals.on('SIGRTMIN+1', ({ value }) => {
      if (value !== expected++) { console.log('after', expected - 2, 'came', value); process.exit(1); }
      if (expected === 100_000) { console.log('all'); clearTimeout(timer); }
    });
    const timer = setTimeout(() => console.log('only', expected), 60_000);
    const { status } = spawnSync(process.argv[1], [String(process.pid), '${number}', '100000']);
    console.log('sent', status, 'handled meanwhile', expected);`,
    [queue],
  ).ended;
  assert.deepEqual([stdout, stderr, code], ['sent 0 handled meanwhile 0\nall\n', '', 0]);
});

test('Signals: a queue limit of 1,000: the sender is told, and waits, and nothing that was accepted is lost', {
  timeout: 120_000,
}, async () => {
  const script = `
    import { spawn } from 'node:child_process';
    import { signals } from 'vecino';
    let expected = 0;
    signals.on('SIGRTMIN+1', ({ value }) => {
      if (value !== expected++) { console.log('after', expected - 2, 'came', value); process.exit(1); }
      const end = performance.now() + 0.01;
      while (performance.now() < end);
    });
    spawn(process.argv[1], [String(process.pid), '${number}', '100000'], { stdio: 'inherit' }).on('exit', (status) => {
      const look = () => expected < 100_000 ? setTimeout(look, 5) : console.log('all', status);
      look();
    });
    alone();`;
  const { stdout, stderr } = await startLimited(1000, script, [queue]).ended;
  assert.match(stdout, /^\d+\nall 0\n$/, stderr);
});

test('Signals: blocked signals wait in the kernel up to the limit; then send is EAGAIN with the reason, and unblock gives them all', async () => {
  const script = `
    import { signals } from 'vecino';
    alone();
    signals.block('SIGRTMIN+1');
    const seen = [];
    signals.on('SIGRTMIN+1', ({ value }) => { seen.push(value); });
    let sent = 0;
    try {
      for (;;) { signals.send(process.pid, 'SIGRTMIN+1', sent); sent++; }
    } catch (error) {
      console.log(error.code, error.syscall, /RLIMIT_SIGPENDING.*ulimit -i/.test(error.message));
    }
    console.log(sent > 50 && sent <= 100, seen.length);
    signals.unblock('SIGRTMIN+1');
    setTimeout(function look() {
      if (seen.length < sent) return setTimeout(look, 5);
      console.log(seen.every((value, index) => value === index));
    }, 5);`;
  const { stdout, stderr } = await startLimited(100, script).ended;
  assert.equal(stdout, 'EAGAIN sigqueue true\ntrue 0\ntrue\n', stderr);
});

test('Signals: a storm of standard signals neither crashes nor fills the memory, and the last one comes', {
  timeout: 120_000,
}, async () => {
  const { stdout, stderr, code } = await startScript(
    `import { spawnSync } from 'node:child_process';
    import { signals } from 'vecino';
    let last = -1, count = 0;
    signals.on('SIGUSR2', ({ value }) => { count++; if (value > last) last = value; if (value === 150_000) { console.log('last'); clearTimeout(timer); } });
    const timer = setTimeout(() => console.log('only', count, last), 60_000);
    spawnSync(process.argv[1], [String(process.pid), '12', '150000']);
    setTimeout(() => signals.send(process.pid, 'SIGUSR2', 150_000), 100);`,
    [queue],
  ).ended;
  assert.deepEqual([stdout, stderr, code], ['last\n', '', 0]);
});

test('Signals: subscriptions come and go in a storm: no crash, no signal takes its default action', {
  timeout: 120_000,
}, async () => {
  const { stdout, stderr, code } = await startScript(
    `import { spawn } from 'node:child_process';
    import { signals } from 'vecino';
    const keeper = signals.on('SIGRTMIN+1', () => {});
    let over = false;
    spawn(process.argv[1], [String(process.pid), '${number}', '100000']).on('exit', () => { over = true; });
    let rounds = 0;
    while (!over) {
      const one = signals.on('SIGRTMIN+1', () => {});
      const two = signals.on('SIGUSR2', () => {});
      signals.send(process.pid, 'SIGUSR2');
      await new Promise(setImmediate);
      two.close();
      one.close();
      rounds++;
    }
    keeper.close();
    console.log(rounds > 0);`,
    [queue],
  ).ended;
  assert.deepEqual([stdout, stderr, code], ['true\n', '', 0]);
});

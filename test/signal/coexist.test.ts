import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants as os } from 'node:os';
import { test } from 'node:test';
import { signals } from 'vecino/signal';
import { constants } from 'vecino/system';
import { root, start, startScript, temporaryFolder } from '../support/processes.js';
import { has, signalSet, stayAwake } from './support.js';

stayAwake();

for (const first of ['ours', 'Node’s']) {
  test(`Signals: Node's listener and ours both get a signal, ${first} being first; each goes on when the other ends`, async () => {
    const { stdout, stderr } = await startScript(
      `import { signals } from 'vecino';
      const seen = [];
      const node = () => seen.push('node');
      let subscription;
      const steps = [() => { subscription = signals.on('SIGINT', () => seen.push('vecino')); }, () => process.on('SIGINT', node)];
      if (process.argv[1] === 'Node’s') steps.reverse();
      for (const step of steps) step();
      const heard = async (count) => { while (seen.length < count) await new Promise((resolve) => setTimeout(resolve, 2)); return seen.splice(0).sort().join(' '); };
      process.kill(process.pid, 'SIGINT');
      console.log(await heard(2));
      subscription.close();
      process.kill(process.pid, 'SIGINT');
      console.log(await heard(1));
      subscription = signals.on('SIGINT', () => seen.push('vecino'));
      process.kill(process.pid, 'SIGINT');
      console.log(await heard(2));
      process.off('SIGINT', node);
      process.kill(process.pid, 'SIGINT');
      console.log(await heard(1));
      process.on('SIGINT', node);
      process.kill(process.pid, 'SIGINT');
      console.log(await heard(2));`,
      [first],
    ).ended;
    assert.equal(stdout, 'node vecino\nnode\nnode vecino\nvecino\nnode vecino\n', stderr);
  });
}

test('Signals: process.once works while we listen', async () => {
  const { stdout, stderr } = await startScript(
    `import { once } from 'node:events';
    import { signals } from 'vecino';
    let count = 0;
    signals.on('SIGUSR2', () => count++);
    const timer = setTimeout(() => {}, 60_000);
    for (let i = 0; i < 3; i++) {
      const came = once(process, 'SIGUSR2');
      process.kill(process.pid, 'SIGUSR2');
      await came;
    }
    while (count < 3) await new Promise((resolve) => setTimeout(resolve, 2));
    clearTimeout(timer);
    console.log(count);`,
  ).ended;
  assert.equal(stdout, '3\n', stderr);
});

for (const name of ['SIGINT', 'SIGTERM', 'SIGUSR2', 'SIGHUP'] as const) {
  test(`Signals: when the last handler of ${name} goes, it ends the program again, as that signal`, async () => {
    const program = startScript(`
      import { signals } from 'vecino';
      const subscription = signals.on('${name}', () => {
        subscription.close();
        console.log('caught');
      });
      setTimeout(() => {}, 60_000);
      console.log('ready');`);
    await program.line();
    process.kill(program.pid, name);
    assert.equal(await program.line(), 'caught');
    const { signal, code } = await program.kill(name);
    assert.deepEqual([signal, code], [name, null]);
  });
}

test('Signals: a real-time signal ends the program again, too', async () => {
  const number = constants['SIGRTMIN']! + 4;
  const script = `
    import { signals } from 'vecino';
    const subscription = signals.on('SIGRTMIN+4', () => {});
    subscription.close();
    signals.send(process.pid, 'SIGRTMIN+4');
    setTimeout(() => {}, 60_000);`;
  const node = [process.execPath, '--input-type=module', '--eval', script];
  const { stdout } = await start('sh', ['-c', '"$@"; echo $?', 'sh', ...node], { cwd: root }).ended;
  assert.equal(stdout, `${128 + number}\n`);
});

test('Signals: SIGPIPE, which Node ignores, can be caught and is ignored again afterwards', async () => {
  const ignored = () => has(signalSet(readFileSync('/proc/self/status', 'utf8'), 'SigIgn'), os.signals.SIGPIPE);
  assert.ok(ignored());
  let seen = 0;
  const subscription = signals.on('SIGPIPE', () => seen++);
  signals.send(process.pid, 'SIGPIPE');
  while (seen === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  subscription.close();
  assert.ok(ignored());
  signals.reset('SIGPIPE');
  assert.ok(ignored());
  signals.send(process.pid, 'SIGPIPE');
});

test('Signals: child processes begin with nothing blocked and nothing caught or ignored, whatever we do', async () => {
  const subscriptions = (['SIGUSR2', 'SIGTERM', 'SIGCHLD', 'SIGRTMIN+1'] as const).map((name) =>
    signals.on(name, () => {}),
  );
  signals.block(['SIGHUP', 'SIGRTMIN+2']);
  const texts = [
    execFileSync('cat', ['/proc/self/status'], { encoding: 'utf8' }),
    (await start('cat', ['/proc/self/status']).ended).stdout,
  ];
  signals.unblock(['SIGHUP', 'SIGRTMIN+2']);
  for (const subscription of subscriptions) subscription.close();
  for (const text of texts) {
    assert.equal(signalSet(text, 'SigBlk'), 0n);
    assert.equal(signalSet(text, 'SigIgn'), 0n);
    assert.equal(signalSet(text, 'SigPnd') | signalSet(text, 'ShdPnd'), 0n);
  }
});

test('Signals: children are started and reaped while SIGCHLD storms', { timeout: 60_000 }, async () => {
  let seen = 0;
  const subscription = signals.on('SIGCHLD', () => seen++);
  const codes = await Promise.all(
    Array.from({ length: 60 }, async (_, index) => {
      const child = spawn('sh', ['-c', `exit ${index}`], { stdio: 'ignore' });
      return (await once(child, 'exit'))[0];
    }),
  );
  assert.deepEqual(
    codes,
    Array.from({ length: 60 }, (_, index) => index),
  );
  assert.ok(seen > 0);
  subscription.close();
});

test('Signals: SIGUSR1 does not start the debugger while we listen, and does again afterwards', {
  timeout: 60_000,
}, async () => {
  const program = start(
    process.execPath,
    [
      '--inspect-port=0',
      '--input-type=module',
      '--eval',
      `import { signals } from 'vecino';
      const subscription = signals.on('SIGUSR1', () => { subscription.close(); console.log('caught'); });
      setTimeout(() => {}, 60_000);
      console.log('ready');`,
    ],
    { cwd: root },
  );
  await program.line();
  let stderr = '';
  const debugging = new Promise<void>((resolve) =>
    program.child.stderr!.on('data', (text) => {
      stderr += text;
      if (/Debugger listening/.test(stderr)) resolve();
    }),
  );
  process.kill(program.pid, 'SIGUSR1');
  assert.equal(await program.line(), 'caught');
  assert.equal(stderr, '');
  process.kill(program.pid, 'SIGUSR1');
  await debugging;
  await program.kill();
});

test('Signals: a thread whose mask is not ours gives the signal back: node --prof sleeps with a mask of its own', {
  timeout: 60_000,
}, async () => {
  const folder = temporaryFolder();
  const program = start(
    process.execPath,
    [
      '--prof',
      `--logfile=${folder}/v8.log`,
      '--no-logfile-per-isolate',
      '--input-type=module',
      '--eval',
      `import { signals } from ${JSON.stringify(import.meta.resolve('vecino'))};
      let seen = 0;
      signals.on('SIGUSR2', ({ code, pid }) => { seen++; console.log(code, pid); });
      signals.on('SIGRTMIN+1', ({ value }) => console.log(value));
      setTimeout(() => {}, 60_000);
      console.log('ready');`,
    ],
    { cwd: folder },
  );
  await program.line();
  for (let i = 0; i < 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5)); // so that it sleeps in its event loop
    const line = program.line();
    signals.send(program.pid, 'SIGUSR2');
    assert.equal(await line, `SI_USER ${process.pid}`);
    signals.send(program.pid, 'SIGRTMIN+1', i);
    assert.equal(await program.line(), String(i));
  }
  await program.kill();
});

test('Signals: V8’s profiler runs while SIGPROF is subscribed to, and afterwards', { timeout: 60_000 }, async () => {
  const { stdout, stderr, code } = await startScript(`
    import { Session } from 'node:inspector/promises';
    import { signals } from 'vecino';
    const session = new Session();
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    let seen = 0;
    const subscription = signals.on('SIGPROF', () => seen++);
    const busy = () => { const end = performance.now() + 50; while (performance.now() < end); };
    busy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    signals.send(process.pid, 'SIGPROF');
    while (seen === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    subscription.close();
    busy();
    const { profile } = await session.post('Profiler.stop');
    console.log(profile.samples.length > 0);
    session.disconnect();
    const again = signals.on('SIGPROF', () => {});
    again.close();`).ended;
  assert.deepEqual([stdout, stderr, code], ['true\n', '', 0]);
});

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signals } from 'vecino/signal';
import { constants, SystemError } from 'vecino/system';
import { start, startScript } from '../support/processes.js';

const code =
  (expected: string, text = /./) =>
  (error: unknown) =>
    (error as { code?: string }).code === expected && text.test((error as Error).message);
const value = 'ERR_INVALID_ARG_VALUE';
const type = 'ERR_INVALID_ARG_TYPE';
const range = 'ERR_OUT_OF_RANGE';
const RTMIN = constants['SIGRTMIN']!;
const RTMAX = constants['SIGRTMAX']!;

/** Every way of receiving, blocking and ignoring. */
const uses: [string, (name: never) => unknown][] = [
  ['on', (name) => signals.on(name, () => {})],
  ['wait', (name) => signals.wait(name)],
  ['wait for several', (name) => signals.wait(['SIGUSR2', name])],
  ['waitSync', (name) => signals.waitSync(name)],
  ['tryWait', (name) => signals.tryWait(name)],
  ['ignore', (name) => signals.ignore(name)],
  ['reset', (name) => signals.reset(name)],
  ['block', (name) => signals.block(name)],
  ['unblock', (name) => signals.unblock(name)],
];
const refused = (name: unknown, check: (error: unknown) => boolean) =>
  Promise.all(
    uses.map(([what, use]) => assert.rejects(async () => use(name as never), check, `${what} ${String(name)}`)),
  );

test('Signals: signals that do not exist are refused', async () => {
  const names = [
    'SIGNOPE',
    'USR1',
    '',
    'sigusr1',
    'SIGRTMIN+',
    'SIGRTMIN+31',
    'SIGRTMIN-1',
    'SIGRTMAX-31',
    'SIGRTMAX+1',
    'SIGRTMIN+1.5',
    '__proto__',
    'constructor',
  ];
  for (const name of names) {
    await refused(name, code(value, /name of a signal/));
    assert.throws(() => signals.send(process.pid, name as never), code(value));
  }
  for (const number of [0, -1, RTMAX + 1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    await refused(number, code(range));
    if (number !== 0) assert.throws(() => signals.send(process.pid, number), code(range));
  }
});

test('SIGKILL and SIGSTOP are refused: nobody can catch them', async () => {
  for (const name of ['SIGKILL', 'SIGSTOP', 9, 19]) await refused(name, code(value, /no process can catch/));
});

test('Signals: faults are refused', async () => {
  for (const name of ['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGTRAP', 'SIGSYS'])
    await refused(name, code(value, /fault/));
});

test('Signals: signals that vecino and the C library use inside are refused', async () => {
  await refused('SIGRTMAX-2', code(value, /vecino uses it to interrupt/));
  await refused(`SIGRTMIN+${RTMAX - 2 - RTMIN}`, code(value, /vecino uses it/));
  await refused('SIGSTKFLT', code(value, /vecino uses it to change/));
  for (const number of [32, 33]) {
    if (number >= RTMIN) continue;
    await refused(number, code(value, /C library/));
    assert.throws(() => signals.send(process.pid, number), code(value, /C library/));
  }
});

test('Signals: what is no name is refused', async () => {
  for (const name of [null, undefined, true, {}, 12n, Symbol('SIGUSR2'), () => {}]) await refused(name, code(type));
  assert.throws(() => signals.on('SIGUSR2', undefined as never), code(type, /handler/));
  assert.throws(() => signals.block([]), code(value, /at least one/));
  await assert.rejects(signals.wait([]), code(value));
  await assert.rejects(signals.wait('SIGUSR2', { timeout: -1 }), code(range));
  await assert.rejects(signals.wait('SIGUSR2', { signal: 5 as never }), code(type));
  assert.throws(() => signals.waitSync('SIGUSR2', { timeout: Number.NaN }), code(range));
});

test('Signals: a process that is not there is ESRCH', async () => {
  const gone = start('true');
  await gone.ended;
  for (const args of [
    [gone.pid, 'SIGUSR2'],
    [gone.pid, 'SIGUSR2', 1],
    [0x7fffffff, 'SIGUSR2'],
  ] as const)
    assert.throws(
      () => signals.send(...(args as [number, 'SIGUSR2'])),
      (error) =>
        error instanceof SystemError &&
        error.code === 'ESRCH' &&
        error.path === `pid ${args[0]}` &&
        /no such process/.test(error.message),
    );
});

test('Signals: number 0 is sent to nobody, and tells whether there is such a process and whether it may be signalled', async () => {
  const { stdout, stderr } = await startScript(
    `import { spawn } from 'node:child_process';
    import { signals } from 'vecino';
    const child = spawn('sleep', ['60'], { detached: true });
    const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal)));
    signals.send(process.pid, 0);
    signals.send(child.pid, 0);
    signals.send(child.pid, 0, 7);
    signals.sendToGroup(child.pid, 0);
    signals.send(child.pid, 'SIGKILL');
    console.log(await ended);
    const refused = (act) => { try { act(); } catch (error) { return error.code; } };
    console.log(refused(() => signals.send(child.pid, 0)), refused(() => signals.send(child.pid, 0, 1)));
    if (process.getuid() === 0) process.setuid(65534);
    console.log(refused(() => signals.send(1, 0)));`,
  ).ended;
  assert.equal(stdout, 'SIGKILL\nESRCH ESRCH\nEPERM\n', stderr);
});

test('Signals: a process of another user is EPERM', { skip: process.getuid!() !== 0 && 'needs root' }, async () => {
  const { stdout, stderr } = await startScript(
    `import { signals } from 'vecino';
    process.setgid(65534);
    process.setuid(65534);
    for (const value of [undefined, 1]) {
      try {
        signals.send(Number(process.argv[1]), 'SIGUSR2', value);
      } catch (error) {
        console.log(error.code, error.syscall, /another user/.test(error.message));
      }
    }`,
    [String(process.pid)],
  ).ended;
  assert.equal(stdout, 'EPERM kill true\nEPERM sigqueue true\n', stderr);
});

test('Signals: groups cannot be signalled by accident: 0, -1 and other negative ids are refused', () => {
  for (const pid of [0, -1, -process.pid, Number.NaN, 1.5, 2 ** 31, 2 ** 53, Number.NEGATIVE_INFINITY])
    assert.throws(() => signals.send(pid, 'SIGUSR2'), code(range, /sendToGroup/));
  for (const pid of [null, undefined, '1', 1n, {}])
    assert.throws(() => signals.send(pid as never, 'SIGUSR2'), code(type));
  for (const group of [1, 0, -1, Number.NaN]) assert.throws(() => signals.sendToGroup(group, 'SIGUSR2'), code(range));
});

test('Signals: a group can be signalled on purpose', async () => {
  const leader = start('sh', ['-c', 'sleep 60 & echo $!; wait'], { detached: true });
  await leader.line();
  signals.sendToGroup(leader.pid, 'SIGTERM');
  assert.equal((await leader.ended).signal, 'SIGTERM');
});

test('Signals: a value outside of 32 bits is refused, and nothing is sent', () => {
  for (const bad of [2 ** 31, -(2 ** 31) - 1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])
    assert.throws(() => signals.send(process.pid, 'SIGUSR2', bad), code(range, /value/));
  for (const bad of [null, '1', 1n, {}])
    assert.throws(() => signals.send(process.pid, 'SIGUSR2', bad as never), code(type, /value/));
});

import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { constants as os } from 'node:os';
import { test } from 'node:test';
import { type SignalInfo, signals } from 'vecino/signal';
import { constants } from 'vecino/system';
import { compile, root, start, startScript, temporaryFolder } from '../support/processes.js';
import { compileQueue, compileThreadKill, has, signalSet, stayAwake, threads } from './support.js';

stayAwake();
const folder = temporaryFolder();
const queue = compileQueue(folder);
const tgkill = compileThreadKill(folder);
const RTMIN = constants['SIGRTMIN']!;

/** The next signal that a handler gets. */
function next(name: Parameters<typeof signals.on>[0]): Promise<SignalInfo> {
  return new Promise((resolve) => {
    const subscription = signals.on(name, (info) => {
      subscription.close();
      resolve(info);
    });
  });
}
async function received(count: number, list: unknown[]): Promise<void> {
  while (list.length < count) await new Promise((resolve) => setTimeout(resolve, 2));
}

test('Signals: a handler learns the sender, the code and, of sigqueue, the value', async () => {
  const kill = next('SIGUSR2');
  const shell = start('sh', ['-c', `kill -USR2 ${process.pid}`]);
  assert.deepEqual(await kill, {
    name: 'SIGUSR2',
    number: os.signals.SIGUSR2,
    pid: shell.pid,
    uid: process.getuid!(),
    code: 'SI_USER',
  });
  await shell.ended;
  const own = next('SIGRTMIN+3');
  signals.send(process.pid, 'SIGRTMIN+3', -7);
  assert.deepEqual(await own, {
    name: 'SIGRTMIN+3',
    number: RTMIN + 3,
    pid: process.pid,
    uid: process.getuid!(),
    code: 'SI_QUEUE',
    value: -7,
  });
});

test('Signals: values keep all their 32 bits, also on a standard signal', async () => {
  for (const value of [0, 1, -1, 0x7fffffff, -0x80000000]) {
    for (const name of ['SIGUSR2', 'SIGRTMIN'] as const) {
      const info = next(name);
      signals.send(process.pid, name, value);
      assert.deepEqual([(await info).code, (await info).value], ['SI_QUEUE', value]);
    }
  }
});

test('Signals: the uid is the sender’s', { skip: process.getuid!() !== 0 && 'needs root' }, async () => {
  const receiver = startScript(`
    import { signals } from 'vecino';
    process.setgid(65534);
    process.setuid(65534);
    const { uid, pid } = await Promise.all([signals.wait('SIGUSR2'), console.log('ready')]).then(([info]) => info);
    console.log(uid, pid);`);
  await receiver.line();
  const sender = start('sh', ['-c', `kill -USR2 ${receiver.pid}`], { uid: 65534, gid: 65534, cwd: '/' });
  assert.equal(await receiver.line(), `65534 ${sender.pid}`);
  await Promise.all([receiver.ended, sender.ended]);
});

test('Signals: names count from both ends, and numbers are understood', async () => {
  const max = next('SIGRTMAX-1');
  signals.send(process.pid, constants['SIGRTMAX']! - 1);
  assert.equal((await max).name, 'SIGRTMAX-1');
  const number = next(RTMIN + 5);
  signals.send(process.pid, 'SIGRTMIN+5');
  assert.deepEqual(
    [(await number).name, (await number).number, (await number).value],
    ['SIGRTMIN+5', RTMIN + 5, undefined],
  );
});

test('Signals: real-time signals of another process come all and in order', async () => {
  const values: number[] = [];
  const subscription = signals.on('SIGRTMIN+1', ({ value }) => values.push(value!));
  const sender = start(queue, [String(process.pid), String(RTMIN + 1), '5000']);
  await received(5000, values);
  assert.deepEqual(
    values,
    Array.from({ length: 5000 }, (_, index) => index),
  );
  subscription.close();
  await sender.ended;
});

test('Signals: several senders: each one’s signals keep their order', async () => {
  const of = new Map<number, number[]>();
  const all: number[] = [];
  const subscription = signals.on('SIGRTMIN+1', ({ pid, value }) => {
    of.set(pid, [...(of.get(pid) ?? []), value!]);
    all.push(value!);
  });
  const senders = Array.from({ length: 3 }, () => start(queue, [String(process.pid), String(RTMIN + 1), '300']));
  await received(900, all);
  for (const sender of senders)
    assert.deepEqual(
      of.get(sender.pid),
      Array.from({ length: 300 }, (_, index) => index),
    );
  subscription.close();
  await Promise.all(senders.map((sender) => sender.ended));
});

test('Signals: a signal for one thread of ours is told as SI_TKILL', async () => {
  const info = next('SIGUSR2');
  const sender = start(tgkill, [String(process.pid), String(process.pid), String(os.signals.SIGUSR2)]);
  assert.deepEqual([(await info).code, (await info).pid], ['SI_TKILL', sender.pid]);
  assert.equal((await sender.ended).code, 0);
});

test('Signals: SIGCHLD tells which child ended and how, and libuv learns it too', async () => {
  const infos: SignalInfo[] = [];
  const subscription = signals.on('SIGCHLD', (info) => infos.push(info));
  const seven = start('sh', ['-c', 'exit 7']);
  assert.equal((await seven.ended).code, 7);
  const killed = start('sleep', ['60']);
  assert.equal((await killed.kill('SIGTERM')).signal, 'SIGTERM');
  assert.equal(execFileSync('echo', ['sync'], { encoding: 'utf8' }), 'sync\n');
  await received(3, infos);
  const about = (pid: number) => infos.find((info) => info.pid === pid);
  assert.deepEqual([about(seven.pid)?.code, about(seven.pid)?.status], ['CLD_EXITED', 7]);
  assert.deepEqual([about(killed.pid)?.code, about(killed.pid)?.status], ['CLD_KILLED', os.signals.SIGTERM]);
  subscription.close();
  assert.equal((await start('sh', ['-c', 'exit 8']).ended).code, 8);
});

test('Signals: Ctrl-C at a terminal is told as SI_KERNEL, from nobody', { timeout: 60_000 }, async () => {
  const script = `
    import { signals } from 'vecino';
    signals.on('SIGINT', ({ name, code, pid, value }) => { console.log([name, code, pid, value].join(' ')); process.exit(); });
    setTimeout(() => {}, 60_000);
    console.log('ready');`;
  const python = `import os, pty, sys
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
text = b''
while b'ready' not in text: text += os.read(terminal, 4096)
os.write(terminal, b'\\x03')
try:
    while True:
        more = os.read(terminal, 4096)
        if not more: break
        text += more
except OSError: pass
os.waitpid(pid, 0)
sys.stdout.write(text.decode())`;
  const node = [process.execPath, '--input-type=module', '--eval', script];
  const { stdout, stderr } = await start('python3', ['-c', python, ...node], { cwd: root }).ended;
  assert.match(stdout, /SIGINT SI_KERNEL 0 \r\n/, stderr);
});

test('Signals: several handlers get each signal; one that throws harms no other and is uncaught', async () => {
  const { stdout, stderr, code } = await startScript(`
    import { signals } from 'vecino';
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    signals.on('SIGUSR2', () => { throw new Error('mine'); });
    signals.on('SIGUSR2', () => console.log('second'));
    signals.on('SIGRTMIN', () => { console.log('other'); clearTimeout(timer); });
    const timer = setTimeout(() => {}, 60_000);
    signals.send(process.pid, 'SIGUSR2');
    signals.send(process.pid, 'SIGRTMIN');`).ended;
  assert.deepEqual([stdout.trim().split('\n').sort(), stderr, code], [['other', 'second', 'uncaught mine'], '', 0]);
});

test('Signals: a subscription does not keep the program running', async () => {
  const { code, stderr } = await startScript(`import { signals } from 'vecino'; signals.on('SIGUSR2', () => {});`)
    .ended;
  assert.deepEqual([code, stderr], [0, '']);
});

test('Signals: ending one subscription leaves the other; ending it twice does no harm', async () => {
  const seen: string[] = [];
  const first = signals.on('SIGUSR2', () => seen.push('first'));
  const second = signals.on('SIGUSR2', () => seen.push('second'));
  first.close();
  first.close();
  first[Symbol.dispose]();
  signals.send(process.pid, 'SIGUSR2');
  await received(1, seen);
  second.close();
  assert.deepEqual(seen, ['second']);
});

test('Signals: when the last subscription ends, masks and dispositions are what they were', {
  timeout: 60_000,
}, async () => {
  const caught = () => signalSet(threads()[0]!, 'SigCgt') & ~(1n << BigInt(os.signals.SIGSTKFLT - 1));
  // Threads come and go meanwhile, and some block everything: what counts is how many block these two.
  const blocking = () =>
    threads().filter((text) => {
      const blocked = signalSet(text, 'SigBlk');
      return has(blocked, os.signals.SIGUSR2) || has(blocked, 36);
    }).length;
  const before = blocking();
  const caughtBefore = caught();
  for (let round = 0; round < 20; round++) {
    using _one = signals.on('SIGUSR2', () => {});
    using _two = signals.on('SIGRTMIN+2', () => {});
    for (const text of threads()) assert.ok(has(signalSet(text, 'SigBlk'), os.signals.SIGUSR2));
  }
  // A thread that could not be interrupted just then changes its mask as soon as it can be.
  while (blocking() > before) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.equal(caught(), caughtBefore);
});

test('Signals: an idle subscription costs no wake-ups', async () => {
  const subscription = signals.on('SIGUSR2', () => {});
  const switches = () => {
    const text = threads().find((each) => each.includes('vecino-signals'))!;
    return Number(/\nvoluntary_ctxt_switches:\s*(\d+)/.exec(text)![1]);
  };
  await new Promise((resolve) => setTimeout(resolve, 50));
  const before = switches();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(switches(), before);
  subscription.close();
});

test('Signals: a C program gets what we send: sender, code and value, in order', async () => {
  const program = compile(
    folder,
    'receive',
    `#include <signal.h>
     #include <stdio.h>
     int main(void) {
       sigset_t set;
       siginfo_t info;
       sigemptyset(&set);
       for (int i = 1; i < 5; i++) sigaddset(&set, SIGRTMIN + i);
       sigaddset(&set, SIGUSR1);
       sigprocmask(SIG_BLOCK, &set, NULL);
       puts("ready"), fflush(stdout);
       for (int i = 0; i < 5; i++) {
         int number = sigwaitinfo(&set, &info), queued = info.si_code == SI_QUEUE;
         printf("%d %d %d %s %d\\n", number, info.si_pid, info.si_uid, queued ? "SI_QUEUE" : "SI_USER", queued ? info.si_value.sival_int : 0);
         fflush(stdout);
       }
       return 0;
     }`,
  );
  const peer = start(program);
  await peer.line();
  const own = `${process.pid} ${process.getuid!()}`;
  signals.send(peer.pid, 'SIGUSR1');
  assert.equal(await peer.line(), `${os.signals.SIGUSR1} ${own} SI_USER 0`);
  const values = [-0x80000000, -1, 0, 0x7fffffff];
  for (const value of values) signals.send(peer.pid, 'SIGRTMIN+3', value);
  for (const value of values) assert.equal(await peer.line(), `${RTMIN + 3} ${own} SI_QUEUE ${value}`);
  assert.equal((await peer.ended).code, 0);
});

test('Signals: Python signals us and is signalled by us', async () => {
  const info = next('SIGUSR2');
  const python = start('python3', [
    '-u',
    '-c',
    // Not by a handler and pause(): Python would sleep through a signal that comes just before it does.
    `import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.kill(int(sys.argv[1]), signal.SIGUSR2)
print(signal.Signals(signal.sigwait({signal.SIGUSR1})).name)`,
    String(process.pid),
  ]);
  assert.equal((await info).pid, python.pid);
  signals.send(python.pid, 'SIGUSR1');
  assert.equal(await python.line(), 'SIGUSR1');
  assert.equal((await python.ended).code, 0);
});

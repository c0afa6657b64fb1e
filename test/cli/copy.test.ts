import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { CopyResult } from '#src/lab/copy/index.js';
import { root, start, temporaryFolder } from '../support/processes.js';
import { assertRefused, copied, digest, endlessCopy, MECHANISMS, main, participants, run, vecino } from './support.js';

test('vecino copy: a queue takes no more in a message than the kernel allows, and the result says how much that was', async () => {
  const folder = temporaryFolder();
  const source = join(folder, 'source');
  writeFileSync(source, randomBytes(100_000));
  for (const [via, limit] of [
    ['posix-queue', '/proc/sys/fs/mqueue/msgsize_max'],
    ['sysv-queue', '/proc/sys/kernel/msgmax'],
  ] as const) {
    const result = await copied([source, join(folder, via), '--via', via, '--chunk', '1G']);
    assert.equal(result.chunk, Number(readFileSync(limit, 'utf8')));
    assert.equal(digest(join(folder, via)), digest(source));
  }
});

test('vecino copy: an interrupt cleans up and ends the command by that signal', { timeout: 240_000 }, async () => {
  const folder = temporaryFolder();
  const command = endlessCopy(folder, 'fifo');
  await participants(command);
  const { signal } = await command.kill('SIGINT');
  assert.equal(signal, 'SIGINT');
  assert.deepEqual(readdirSync(folder), ['source']);
});

test('vecino copy: an existing DESTINATION is replaced whole, through a symbolic link too, and kept if the copy fails', async () => {
  const folder = temporaryFolder();
  const [source, destination, link] = ['source', 'destination', 'link'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(source, 'new', { mode: 0o600 });
  writeFileSync(destination, 'something longer and old', { mode: 0o644 });
  symlinkSync(destination, link);
  await copied([source, link, '--via', 'pipe']);
  assert.equal(readFileSync(destination, 'utf8'), 'new');
  assert.equal(statSync(destination).mode & 0o777, 0o600);
  assertRefused(await run(['copy', join(folder, 'missing'), destination]), /ENOENT.*no such SOURCE/);
  assert.equal(readFileSync(destination, 'utf8'), 'new');
  assert.deepEqual(readdirSync(folder).sort(), ['destination', 'link', 'source']);
});

test('vecino copy: SOURCE missing, a directory, a FIFO, unreadable, or DESTINATION itself is refused in one line', async () => {
  const folder = temporaryFolder();
  const path = (name: string) => join(folder, name);
  writeFileSync(path('file'), 'x');
  writeFileSync(path('secret'), 'x', { mode: 0 });
  execFileSync('mkfifo', [path('fifo')]);
  assertRefused(await run(['copy', path('missing'), path('to')]), /ENOENT.*missing.*no such SOURCE/);
  assertRefused(await run(['copy', folder, path('to')]), /is a directory/);
  assertRefused(await run(['copy', path('fifo'), path('to')]), /not a regular file/);
  assertRefused(await run(['copy', path('file'), path('file')]), /same file/);
  assertRefused(await run(['copy', path('file'), folder]), /DESTINATION .* is a directory/);
  assertRefused(await run(['copy', path('file'), '/dev/null']), /DESTINATION .* not a regular file/);
  assertRefused(await run(['copy', path('file'), path('no/where')]), /folder of DESTINATION does not exist/);
  assertRefused(await run(['copy', path('file'), path('file/where')]), /DESTINATION/);
  assert.deepEqual(readdirSync(folder).sort(), ['fifo', 'file', 'secret']);
  if (process.getuid!() !== 0) return;
  chmodSync(folder, 0o777);
  const asNobody = start('setpriv', [
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    process.execPath,
    main,
    'copy',
    path('secret'),
    path('to'),
  ]);
  const { code, stderr } = await asNobody.ended;
  // A checkout that this user may not read at all proves nothing here.
  if (!/Cannot find module|EACCES.*main\.js|permission denied.*node/i.test(stderr)) {
    assert.equal(code, 1, stderr);
    assert.match(stderr, /EACCES|no permission to read/);
  }
});

test('vecino copy: wrong usage is exit 2: no mechanism of that name, a chunk of 0, negative, too large or no number, arguments missing', async () => {
  for (const args of [
    ['copy', 'a', 'b', '--via', 'carrier-pigeon'],
    ['copy', 'a', 'b', '--chunk', '0'],
    ['copy', 'a', 'b', '--chunk=-1'],
    ['copy', 'a', 'b', '--chunk', '2G'],
    ['copy', 'a', 'b', '--chunk', 'many'],
    ['copy', 'a'],
    ['copy', 'a', 'b', 'c'],
    ['copy', 'a', 'b', '--unknown'],
    ['no-such-command'],
  ]) {
    const { code, stdout, stderr } = await run(args);
    assert.equal(code, 2, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, /error:/);
    assert.doesNotMatch(stderr, /\n\s+at /);
  }
  for (const args of [['--help'], ['copy', '--help'], ['--version']]) assert.equal((await run(args)).code, 0);
});

test('vecino copy: a SOURCE that grows while it is read is copied as it was, and this is said', {
  timeout: 240_000,
}, async () => {
  const folder = temporaryFolder();
  const source = join(folder, 'source');
  const before = randomBytes(8 << 20);
  for (const via of MECHANISMS) {
    writeFileSync(source, before);
    const command = vecino(['copy', source, join(folder, via), '--via', via, '--chunk', '4K', '--json']);
    let over = false;
    void command.ended.then(() => {
      over = true;
    });
    while (!over) {
      appendFileSync(source, 'more'.repeat(1000));
      await turn();
    }
    const { code, stdout, stderr } = await command.ended;
    assert.deepEqual([code, stderr], [0, '']);
    const result = JSON.parse(stdout) as CopyResult;
    // It may have had a little more by the time it was opened.
    assert.ok(result.bytes >= before.length);
    const copy = readFileSync(join(folder, via));
    assert.equal(copy.length, result.bytes);
    assert.ok(copy.equals(readFileSync(source).subarray(0, result.bytes)));
    assert.equal(result.sourceGrew, true);
  }
});

test('vecino copy: a SOURCE that shrinks while it is read is an error, not a shorter copy', {
  timeout: 240_000,
}, async () => {
  for (const via of MECHANISMS) {
    const folder = temporaryFolder();
    const command = endlessCopy(folder, via);
    await participants(command);
    truncateSync(join(folder, 'source'), 0);
    assertRefused(await command.ended, /shrank while it was read/);
    assert.deepEqual(readdirSync(folder), ['source']);
  }
});

test('vecino copy: a file of /proc, which has content but no size, is read to its end', async () => {
  const folder = temporaryFolder();
  for (const via of MECHANISMS) {
    await copied(['/proc/cpuinfo', join(folder, via), '--via', via]);
    assert.match(readFileSync(join(folder, via), 'utf8'), /^processor/);
  }
});

test('vecino copy: a full file system of DESTINATION is a clear error and leaves nothing there', {
  timeout: 240_000,
}, async (t) => {
  const folder = temporaryFolder();
  const source = join(folder, 'source');
  const small = join(folder, 'small');
  writeFileSync(source, randomBytes(8 << 20));
  mkdirSync(small);
  const script = `
    mount -t tmpfs -o size=1m none "$1" || exit 77
    for via in ${MECHANISMS.join(' ')}; do
      "$2" "$3" copy "$4" "$1/copy" --via $via
      echo "exit $?"
      ls -A "$1"
    done`;
  const user = process.getuid!() === 0 ? [] : ['--user', '--map-root-user'];
  const { code, stdout, stderr } = await start('unshare', [
    ...user,
    '--mount',
    'sh',
    '-c',
    script,
    'sh',
    small,
    process.execPath,
    main,
    source,
  ]).ended;
  if (code !== 0 && /unshare|mount/.test(stderr))
    return t.skip(`this machine lets no test mount a file system: ${stderr.trim()}`);
  assert.equal(stdout, 'exit 1\n'.repeat(MECHANISMS.length));
  const lines = stderr.trim().split('\n');
  assert.equal(lines.length, MECHANISMS.length, stderr);
  for (const line of lines) assert.match(line, /ENOSPC.*the client|client.*ENOSPC/);
});

test('vecino copy: memory stays flat: what both processes hold does not grow with the file', {
  timeout: 240_000,
}, async () => {
  const folder = temporaryFolder();
  const path = (name: string) => join(folder, name);
  // The queues take 8 KiB at a time: as many calls for a smaller file.
  for (const [name, megabytes] of [
    ['small', 1],
    ['medium', 96],
    ['large', 512],
  ] as const) {
    writeFileSync(path(name), '');
    truncateSync(path(name), megabytes << 20);
  }
  for (const via of MECHANISMS) {
    const small = await copied([path('small'), path('copy'), '--via', via]);
    const large = await copied([path(via.endsWith('queue') ? 'medium' : 'large'), path('copy'), '--via', via]);
    for (const role of ['server', 'client'] as const) {
      const growth = large.processes[role].maxResidentBytes - small.processes[role].maxResidentBytes;
      assert.ok(growth < 16 << 20, `${via} ${role}: ${growth} bytes more for a much larger file`);
    }
  }
});

test('vecino copy: on no terminal there is no progress bar; on one there is, and --json prints one JSON value only', async () => {
  const folder = temporaryFolder();
  const source = join(folder, 'source');
  writeFileSync(source, randomBytes(100_000));
  const plain = await run(['copy', source, join(folder, 'a')]);
  assert.deepEqual([plain.code, plain.stderr], [0, '']);
  assert.match(plain.stdout, /copies per byte: 2\.00\nSHA-256: [0-9a-f]{64} \(both files\)/);
  const onTerminal = (more: string) =>
    execFileSync(
      'script',
      ['-qec', `'${process.execPath}' '${main}' copy '${source}' '${join(folder, 'b')}' ${more}`, '/dev/null'],
      { encoding: 'utf8' },
    );
  assert.match(onTerminal(''), /█|░/);
  assert.doesNotThrow(() => JSON.parse(onTerminal('--json')));
});

test('vecino copy: what is printed to nobody, to a full device or to a closed descriptor costs no stack trace, and the copy is there', async () => {
  const folder = temporaryFolder();
  const source = join(folder, 'source');
  writeFileSync(source, 'x');
  const shell = (name: string, line: string) => {
    const command = [process.execPath, main, 'copy', source, join(folder, name)];
    return start('bash', ['-c', `exec 3>&1; ${line}`, 'bash', ...command]).ended;
  };
  const gone = await shell('a', '{ "$@"; echo "exit $?" >&3; } | true');
  assert.deepEqual([gone.stdout, gone.stderr], ['exit 1\n', '']);
  const full = await shell('b', '"$@" > /dev/full');
  assert.equal(full.code, 1);
  assert.match(full.stderr, /^vecino: standard output: ENOSPC[^\n]*\n$/);
  assert.equal((await shell('c', '"$@" <&- >&- 2>&-')).code, 0);
  for (const name of ['a', 'b', 'c']) assert.equal(readFileSync(join(folder, name), 'utf8'), 'x');
});

test('vecino copy: names with line breaks and escape sequences are copied, and shown, not obeyed, in an error', async () => {
  const folder = temporaryFolder();
  const odd = join(folder, 'a\nb\x1b[31m');
  assertRefused(await run(['copy', odd, join(folder, 'to')]), /a\\nb\\u001b\[31m/);
  writeFileSync(odd, 'x');
  await copied([odd, `${odd}2`, '--via', 'fifo']);
  assert.equal(readFileSync(`${odd}2`, 'utf8'), 'x');
});

test('vecino copy: a name as long as names can be is taken, for a new DESTINATION and for one that is replaced', async () => {
  const folder = temporaryFolder();
  const source = join(folder, 'source');
  for (const name of ['a'.repeat(255), '日'.repeat(85)]) {
    for (const content of ['new', 'newer']) {
      writeFileSync(source, content);
      await copied([source, join(folder, name)]);
      assert.equal(readFileSync(join(folder, name), 'utf8'), content);
    }
    assertRefused(await run(['copy', source, join(folder, `${name}a`)]), /too long/);
  }
});

test('vecino copy: DESTINATION a link to nothing, or its folder removed in the middle, is a clear error', {
  timeout: 240_000,
}, async () => {
  const folder = temporaryFolder();
  const path = (name: string) => join(folder, name);
  writeFileSync(path('source'), 'x');
  symlinkSync('nowhere', path('link'));
  assertRefused(await run(['copy', path('source'), path('link')]), /link to nothing/);
  assert.deepEqual(readdirSync(folder).sort(), ['link', 'source']);
  linkSync(path('source'), path('hard'));
  assertRefused(await run(['copy', path('source'), path('hard')]), /same file/);

  mkdirSync(path('folder'));
  writeFileSync(path('source'), randomBytes(1 << 20));
  const command = vecino(['copy', path('source'), path('folder/to'), '--via', 'pipe', '--chunk', '1'], folder);
  await participants(command);
  rmSync(path('folder'), { recursive: true });
  assertRefused(await command.ended, /ENOENT.*folder of DESTINATION does not exist/);
});

test('vecino copy: a runtime folder that is not there any more is no hindrance', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'source'), 'x');
  for (const XDG_RUNTIME_DIR of ['', join(folder, 'gone')]) {
    const env = { ...process.env, XDG_RUNTIME_DIR };
    const args = [main, 'copy', join(folder, 'source'), join(folder, 'to'), '--via', 'fifo'];
    const { code, stderr } = await start(process.execPath, args, { env }).ended;
    assert.deepEqual([code, stderr], [0, '']);
  }
});

test('vecino copy: without an addon the command says what to install, in one line', async () => {
  const folder = temporaryFolder();
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const args = [join(folder, 'dist', 'cli', 'main.js'), 'copy', 'a', 'b'];
  assertRefused(await start(process.execPath, args).ended, /no native addon.*Install a C compiler/);
});

test('vecino copy: the progress bar fits the terminal, keeps to its character set, and spares one that cannot move its cursor', () => {
  const folder = temporaryFolder();
  const source = join(folder, 'source');
  writeFileSync(source, randomBytes(100_000));
  const onTerminal = (columns: number, env: Record<string, string>) =>
    execFileSync(
      'script',
      [
        '-qec',
        `stty cols ${columns}; '${process.execPath}' '${main}' copy '${source}' '${source}2' 2>&1 >/dev/null`,
        '/dev/null',
      ],
      { encoding: 'utf8', env: { ...process.env, TERM: 'xterm', LC_ALL: 'C.UTF-8', ...env } },
    );
  const lines = (output: string) => output.split('\r\x1b[K').map((line) => line.trimEnd());
  assert.ok(lines(onTerminal(40, {})).every((line) => line.length < 40));
  assert.match(onTerminal(200, {}), /[█░]{30} .*KiB of 97\.66 KiB/);
  assert.match(onTerminal(200, { LC_ALL: 'C' }), /[#-]{30} /);
  assert.equal(onTerminal(80, { TERM: 'dumb' }), '');
});

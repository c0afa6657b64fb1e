import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { readiness } from 'vecino/socket';
import { close, constants, dup, dup3, eventfd, pipe2, SystemError, TimeoutError, write } from 'vecino/system';
import { start, startScript } from '../../support/processes.js';

const one = new Uint8Array([1]);
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

test('select: select resolves with what became ready, in each list, and with nothing else', async () => {
  const [reader, writer] = pipe2(constants['O_NONBLOCK']);
  const idle = eventfd();
  const waiting = readiness.select({ read: [idle, reader, reader] });
  setImmediate(() => write(writer, one));
  assert.deepEqual(await waiting, { read: [reader], write: [], except: [] });
  assert.deepEqual(await readiness.select({ read: new Set([reader, idle]), write: [writer, idle] }), {
    read: [reader],
    write: [writer, idle],
    except: [],
  });
  for (const fd of [reader, writer, idle]) close(fd);
});

test('select: the three voices: trySelect answers at once, selectSync blocks, select does not', async () => {
  const fd = eventfd();
  assert.equal(readiness.trySelect({ read: [fd] }), undefined);
  assert.throws(() => readiness.selectSync({ read: [fd] }, 20), TimeoutError);
  assert.throws(() => readiness.selectSync({ read: [fd] }, { timeout: 0 }), TimeoutError);
  await assert.rejects(readiness.select({ read: [fd] }, 20), TimeoutError);
  await assert.rejects(readiness.select({ read: [fd] }, { timeout: 0 }), TimeoutError);
  assert.deepEqual(readiness.selectSync({ write: [fd] }), { read: [], write: [fd], except: [] });
  assert.deepEqual(readiness.trySelect({ write: [fd] }), { read: [], write: [fd], except: [] });
  assert.deepEqual(readiness.selectSync({ write: [fd] }, 0), { read: [], write: [fd], except: [] });
  close(fd);
});

test('select: selectSync is woken by another process', async () => {
  const [reader, writer] = pipe2(constants['O_NONBLOCK']);
  const child = start('sh', ['-c', 'sleep 0.05; printf x >&3'], { stdio: ['pipe', 'pipe', 'pipe', writer] });
  close(writer);
  assert.deepEqual(readiness.selectSync({ read: [reader] }, 60_000).read, [reader]);
  close(reader);
  await child.ended;
});

test('select: an abort ends the wait with its reason and a wait keeps the program running', async () => {
  const fd = eventfd();
  const controller = new AbortController();
  const reason = new Error('enough');
  const waiting = readiness.select({ read: [fd] }, { signal: controller.signal });
  setImmediate(() => controller.abort(reason));
  await assert.rejects(waiting, reason);
  await assert.rejects(readiness.select({ read: [fd] }, { signal: controller.signal }), reason);
  close(fd);
});

test('select: a regular file is always ready to be read and written', async () => {
  const file = openSync('/proc/self/exe', 'r');
  assert.deepEqual(await readiness.select({ read: [file], write: [file] }), {
    read: [file],
    write: [file],
    except: [],
  });
  await assert.rejects(readiness.select({ except: [file] }, 20), TimeoutError);
  close(file);
});

test('select: a hang-up counts as readable; waiting to write to nobody does not spin on it', async () => {
  const [reader, writer] = pipe2(constants['O_NONBLOCK']);
  close(writer);
  assert.deepEqual(await readiness.select({ read: [reader] }), { read: [reader], write: [], except: [] });
  const before = process.cpuUsage();
  await assert.rejects(readiness.select({ except: [reader] }, 300), TimeoutError);
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 250_000, `${user + system} microseconds of processor time for waiting`);
  close(reader);
});

test('select: descriptors from 1024 on are refused before the kernel sees them, in every list and voice', async () => {
  const fd = eventfd();
  const high = dup3(fd, 1024);
  assert.ok(high >= 1024);
  for (const sets of [{ read: [high] }, { write: [fd, high] }, { except: [0x7fffffff] }]) {
    const refused = (error: unknown) =>
      error instanceof RangeError && code('ERR_OUT_OF_RANGE')(error) && /1023.*poll or Epoll/.test(error.message);
    assert.throws(() => readiness.trySelect(sets), refused);
    assert.throws(() => readiness.selectSync(sets, 10), refused);
    await assert.rejects(readiness.select(sets, 10), refused);
  }
  assert.deepEqual((await readiness.poll([{ fd: high, write: true }])).length, 1);
  close(high);
  close(fd);
});

test('select: descriptor 1023, the last of the set, works', async () => {
  const fd = eventfd();
  const last = dup3(fd, 1023);
  assert.equal(last, 1023);
  assert.deepEqual(await readiness.select({ write: [last] }), { read: [], write: [1023], except: [] });
  close(last);
  close(fd);
});

test('select: a descriptor that is not open is named', async () => {
  const open = eventfd();
  const closed = dup(open);
  close(closed);
  const named = (error: unknown) =>
    error instanceof SystemError && error.code === 'EBADF' && error.path === `fd ${closed}`;
  assert.throws(() => readiness.trySelect({ write: [open], read: [closed] }), named);
  assert.throws(() => readiness.selectSync({ write: [closed] }), named);
  await assert.rejects(readiness.select({ read: [open, closed] }), named);
  close(open);
});

test('select: what is no list of descriptors and no time is refused', async () => {
  const type = code('ERR_INVALID_ARG_TYPE');
  const range = code('ERR_OUT_OF_RANGE');
  for (const sets of [
    null,
    undefined,
    5,
    'read',
    { read: 5 },
    { read: '12' },
    { read: [null] },
    { write: ['1'] },
    { except: [1n] },
  ])
    await assert.rejects(readiness.select(sets as never), type);
  for (const fd of [-1, Number.NaN, 1.5, 2 ** 53, Number.POSITIVE_INFINITY])
    await assert.rejects(readiness.select({ read: [fd] }), range);
  await assert.rejects(readiness.select({ reed: [1] } as never), code('ERR_INVALID_ARG_VALUE'));
  for (const timeout of [-1, Number.NaN]) await assert.rejects(readiness.select({ read: [0] }, timeout), range);
  for (const timeout of ['1', null]) await assert.rejects(readiness.select({ read: [0] }, timeout as never), type);
  await assert.rejects(readiness.select({ read: [0] }, { signal: {} as AbortSignal }), type);
});

test('select: many answers in a row leave room for timers', async () => {
  const fd = eventfd();
  let fired = false;
  setTimeout(() => {
    fired = true;
  }, 1);
  while (!fired) await readiness.select({ write: [fd] });
  close(fd);
});

test('select: select: a descriptor that is not open is EBADF also where its number is beyond the table of the process', async () => {
  const program = `
    import { readiness } from 'vecino';
    import { dup3, close, eventfd, DescriptorSets, select } from 'vecino/system';
    const say = (error) => error.code + ' ' + error.path;
    for (const fd of [40, 200, 256, 600, 1023]) {
      const sets = { read: [fd] };
      const found = [];
      try { readiness.trySelect(sets); found.push('nothing'); } catch (error) { found.push(say(error)); }
      try { readiness.selectSync(sets, 20); } catch (error) { found.push(say(error)); }
      await readiness.select({ except: [fd] }, 20).catch((error) => found.push(say(error)));
      const plain = new DescriptorSets();
      plain.add(1, fd);
      try { select(plain, 0); found.push('nothing'); } catch (error) { found.push(error.code); }
      console.log(found.join());
    }
    // One that was open, and whose number the table has room for ever since.
    const event = eventfd(1);
    dup3(event, 900);
    console.log(JSON.stringify(readiness.trySelect({ read: [900] })));
    close(900);
    try { readiness.trySelect({ read: [900] }); } catch (error) { console.log(say(error)); }`;
  const { stdout, stderr } = await startScript(program).ended;
  assert.equal(stderr, '');
  assert.deepEqual(stdout.trim().split('\n'), [
    ...[40, 200, 256, 600, 1023].map((fd) => `${`EBADF fd ${fd},`.repeat(3)}EBADF`),
    '{"read":[900],"write":[],"except":[]}',
    'EBADF fd 900',
  ]);
});

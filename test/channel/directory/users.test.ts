/** Channels between users: who may enter, who is refused, and by whom. Needs root, to be several users. */
import '../../support/leaks.js';
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { directoryOf } from '#src/channel/directory/directory.js';
import { Participant } from '#src/channel/directory/participant.js';
import { CorruptError } from '#src/system/errors.js';
import { type Running, startScript } from '../../support/processes.js';

const OWNER = 61001;
const MEMBER = 61002;
const STRANGER = 61003;
const OTHER_MEMBER = 61004;
const GROUP = 62001;
const skip = process.geteuid!() === 0 ? false : 'only root can be several users';

// Not in tmpdir(): a folder above it may be closed to others.
const top = mkdtempSync('/dev/shm/vecino-users-');
chmodSync(top, 0o711);
after(() => rmSync(top, { recursive: true }));
let folders = 0;
/** A folder of the owner's, in which the channels' one can be made. */
function home(): string {
  const path = join(top, String(folders++));
  mkdirSync(path);
  chownSync(path, OWNER, GROUP);
  chmodSync(path, 0o711);
  return path;
}
/** A process of a user that runs what it is told, line by line, and says what came of it. */
async function user(uid: number, gid: number): Promise<User> {
  const running = startScript(
    `import * as vecino from 'vecino';
     import { createInterface } from 'node:readline';
     Object.assign(globalThis, vecino);
     console.log('ready');
     for await (const line of createInterface(process.stdin)) {
       try {
         console.log('=' + (await (0, eval)('(async () => {' + line + '})()')));
       } catch (error) {
         console.log(error instanceof vecino.IpcError ? error.code + (error.syscall ? ' ' + error.syscall : '') : error.stack.replaceAll('\\n', ' '));
       }
     }`,
    [],
    { uid, gid, env: { ...process.env, VECINO_RUNTIME_DIR: join(top, `own-${uid}`), PATH: process.env['PATH'] } },
  );
  await running.line();
  return {
    running,
    run(code) {
      running.write(`${code}\n`);
      return running.line();
    },
  };
}
interface User {
  readonly running: Running;
  run(code: string): Promise<string>;
}

test('Connections between users: members of the group come in, whom allow refuses and whom the kernel refuses do not', {
  skip,
}, async () => {
  const directory = join(home(), 'channels');
  const at = `directory: '${directory}', owner: ${OWNER}`;
  const owner = await user(OWNER, GROUP);
  const allow = `({ uid }) => uid !== ${OTHER_MEMBER}`;
  assert.equal(
    await owner.run(
      `globalThis.listener = await listen('c', { directory: '${directory}', group: ${GROUP}, allow: ${allow} })`,
    ),
    '=undefined',
  );
  assert.deepEqual([lstatSync(directory).mode & 0o7777, lstatSync(directory).gid], [0o750, GROUP]);
  await owner.run(
    '(async () => { for await (const each of listener) (async () => { for await (const value of each) await each.send([value, each.peer.uid]); })(); })(); return 1',
  );

  const talk = `const c = await connect('c', { ${at} }); await c.send('hello'); const answer = await c.receive(); c.close(); return JSON.stringify([answer, c.peer.uid])`;
  const member = await user(MEMBER, GROUP);
  assert.equal(await member.run(talk), `=[["hello",${MEMBER}],${OWNER}]`);
  const [other, stranger] = [await user(OTHER_MEMBER, GROUP), await user(STRANGER, STRANGER)];
  assert.equal(await other.run(talk), 'EACCES');
  assert.match(await stranger.run(talk), /^EACCES (open|connect)$/);
  // Who expects another owner does not even try.
  assert.equal(await member.run(talk.replace(`owner: ${OWNER}`, `owner: ${MEMBER}`)), 'EACCES open');
  assert.equal(
    await member.run(
      `return listChannels({ ${at} }).map(({ name, participants: [first] }) => name + ' ' + first.role).join()`,
    ),
    '=c listener',
  );
  // A member cannot listen there.
  assert.equal(await member.run(`await listen('d', { ${at} })`), 'ENOENT open');
  for (const each of [owner, member, other, stranger]) await each.running.kill();
});

test('Connections between users: without a group nobody but the owner and root comes in', { skip }, async () => {
  const directory = join(home(), 'channels');
  const at = `directory: '${directory}', owner: ${OWNER}`;
  const owner = await user(OWNER, GROUP);
  await owner.run(
    `globalThis.listener = await listen('c', { directory: '${directory}', allow: ({ uid }) => uid === ${OWNER} || uid === 0 }); listener.accept().then((c) => c.send('in'))`,
  );
  assert.equal(lstatSync(directory).mode & 0o7777, 0o700);
  const [member, root] = [await user(MEMBER, GROUP), await user(0, 0)];
  assert.match(await member.run(`await connect('c', { ${at} })`), /^EACCES (open|connect)$/);
  assert.equal(await root.run(`const c = await connect('c', { ${at} }); return c.receive()`), '=in');
  for (const each of [owner, member, root]) await each.running.kill();
});

test('Services, topics and queues between users: what one sends the other receives, asleep too', { skip }, async () => {
  const directory = join(home(), 'channels');
  const at = `directory: '${directory}', owner: ${OWNER}`;
  const [owner, member, stranger] = [
    await user(OWNER, GROUP),
    await user(MEMBER, GROUP),
    await user(STRANGER, STRANGER),
  ];
  const own = `{ directory: '${directory}', group: ${GROUP} }`;
  // Only the owner can make one.
  assert.match(await member.run(`await Topic.open('t', { ${at} })`), /^ENOENT /);
  await owner.run(`globalThis.service = await serve('s', { whoami() { return this.peer?.uid ?? 'called'; } }, ${own})`);
  await owner.run(`globalThis.topic = await Topic.open('t', ${own}); globalThis.queue = await Queue.open('q', ${own})`);
  assert.match(
    await member.run(
      `const c = await client('s', { ${at} }); const answer = await c.whoami(); c.close(); return answer`,
    ),
    /^=/,
  );
  await member.run(
    `globalThis.topic = await Topic.open('t', { ${at} }); globalThis.queue = await Queue.open('q', { ${at} })`,
  );

  for (const [from, to] of [
    [owner, member],
    [member, owner],
  ] as const) {
    await to.run(
      'globalThis.heard = topic.subscribe(); globalThis.first = heard.receive(); globalThis.taken = queue.receive()',
    );
    await to.run('await new Promise(setImmediate)');
    await from.run("await topic.publish('news'); await queue.send('work')");
    assert.equal(
      await to.run(
        'const delivery = await taken; delivery.acknowledge(); const news = await first; heard.close(); return [news, delivery.value]',
      ),
      '=news,work',
    );
  }
  assert.match(await stranger.run(`await Queue.open('q', { ${at} })`), /^EACCES /);
  // A member that is killed is noticed by the owner, and the other way round.
  await owner.run("await queue.send('again')");
  await member.run('globalThis.taken = await queue.receive()');
  await member.running.kill();
  assert.equal(await owner.run('return (await queue.receive()).attempt'), '=2');
  await owner.run(`service.close(); topic.close(); queue.close(); Queue.unlink('q', ${own})`);
  assert.deepEqual(readdirSync(directory), []);
  for (const each of [owner, stranger]) await each.running.kill();
});

test('Services: a daemon that listens as root and gives up root afterwards goes on, and leaves nothing', {
  skip,
}, async () => {
  const directory = join(home(), 'channels');
  const root = await user(0, 0);
  await root.run(
    `globalThis.service = await serve('s', { whoami: () => process.geteuid() }, { directory: '${directory}', owner: ${OWNER}, group: ${GROUP} })`,
  );
  await root.run(`process.setgroups([]); process.setgid(${GROUP}); process.setuid(${OWNER})`);
  const member = await user(MEMBER, GROUP);
  const call = `const c = await client('s', { directory: '${directory}', owner: ${OWNER} }); const answer = await c.whoami(); c.close(); return answer`;
  assert.equal(await member.run(call), `=${OWNER}`);
  await root.run('service.close()');
  assert.deepEqual(readdirSync(directory), []);
  for (const each of [root, member]) await each.running.kill();
});

test('Channels between users: a folder that others could change, replace or point elsewhere is refused on both sides', {
  skip,
}, async () => {
  const [owner, member] = [await user(OWNER, GROUP), await user(MEMBER, GROUP)];
  const refused = async (directory: string, who: User, group?: number) => {
    const named = group === undefined ? '' : `, group: ${group}`;
    const code = await who.run(`await listen('c', { directory: '${directory}', owner: ${OWNER}${named} })`);
    assert.match(code, /^EACCES open$/, directory);
    assert.equal(await who.run(`await connect('c', { directory: '${directory}', owner: ${OWNER} })`), code);
  };
  const make = (mode: number, uid: number = OWNER): string => {
    const path = join(home(), 'channels');
    mkdirSync(path);
    chownSync(path, uid, GROUP);
    chmodSync(path, mode);
    return path;
  };
  for (const mode of [0o770, 0o757, 0o777, 0o1777])
    for (const who of [owner, member]) await refused(make(mode), who, GROUP);
  for (const mode of [0o750, 0o701]) await refused(make(mode), owner);
  await refused(make(0o700, MEMBER), owner);
  await refused(make(0o700, MEMBER), member); // somebody else was faster, in /tmp say
  const link = join(home(), 'link');
  symlinkSync(make(0o700), link);
  await refused(link, owner);
  const open = make(0o750);
  chmodSync(join(open, '..'), 0o777);
  for (const who of [owner, member]) await refused(open, who, GROUP);
  chmodSync(join(open, '..'), 0o1777); // sticky: nobody can take another's folder away
  assert.equal(await owner.run(`(await listen('c', { directory: '${open}', group: ${GROUP} })).close()`), '=undefined');
  assert.match(await owner.run("await listen('c', { directory: 'relative' })"), /ERR_INVALID_ARG_VALUE|absolute/);
  assert.match(await owner.run("await listen('c', { owner: 1 })"), /given with options.owner/);
  assert.ok(!existsSync('relative'));
  for (const each of [owner, member]) await each.running.kill();
});

test('Channels between users: a link that somebody puts in place of a socket that root has just made leads nowhere', {
  skip,
}, () => {
  const directory = directoryOf({ directory: join(home(), 'channels'), owner: OWNER, group: GROUP }, true);
  const secret = join(top, 'secret');
  writeFileSync(secret, '', { mode: 0o600 });
  using participant = Participant.open('t', { kind: 'topic', codec: 'json', geometry: {} }, { directory });
  symlinkSync(secret, participant.path('bell-7')); // as any member may, between bind(2) and chmod(2)
  assert.throws(() => participant.share('bell-7'), CorruptError);
  const { mode, uid } = lstatSync(secret);
  assert.deepEqual([mode & 0o7777, uid], [0o600, 0]);
});

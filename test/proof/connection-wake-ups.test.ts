/** No wake-up is lost: a million times one side sends just before it sleeps, and the other just before it is woken. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listen } from 'vecino';
import { root, start, temporaryFolder, uniqueName } from '../support/processes.js';

process.env['VECINO_RUNTIME_DIR'] = temporaryFolder();

/** Two processes on one processor: there nobody can look while the other writes, so each message is a sleep and a wake-up. */
async function rounds(count: number, loop: (role: 'ask' | 'answer') => string): Promise<void> {
  const name = uniqueName();
  await using listener = await listen(name, { codec: 'bytes' });
  listener.close();
  const run = (role: 'ask' | 'answer') =>
    start(
      'taskset',
      [
        '-c',
        '0',
        process.execPath,
        '--input-type=module',
        '--eval',
        `import { connect, listen } from 'vecino';
         const options = { codec: 'bytes', spin: 0 };
         const connection = await (${role === 'answer'}
           ? listen('${name}', options).then((listener) => (console.log('up'), listener.accept()))
           : connect('${name}', options));
         const message = new Uint8Array(8);
         const count = ${count};
         let done = 0;
         ${loop(role)}
         console.log('done ' + done);`,
      ],
      { cwd: root },
    );
  const answer = run('answer');
  assert.equal(await answer.line(), 'up');
  const ask = run('ask');
  assert.equal(await ask.line(), `done ${count}`);
  assert.equal(await answer.line(), `done ${count}`);
  await Promise.all([ask.ended, answer.ended]);
}

test('900,000 sleeps and wake-ups by the blocking voice', { timeout: 600_000 }, () =>
  rounds(450_000, (role) =>
    role === 'ask'
      ? 'for (; done < count; done++) { connection.sendSync(message); connection.receiveSync(); }'
      : 'for (; done < count; done++) { connection.receiveSync(); connection.sendSync(message); }',
  ),
);
test('100,000 sleeps and wake-ups in the event loop', { timeout: 600_000 }, () =>
  rounds(50_000, (role) =>
    role === 'ask'
      ? 'for (; done < count; done++) { await connection.send(message); await connection.receive(); }'
      : 'for (; done < count; done++) { await connection.receive(); await connection.send(message); }',
  ),
);

/**
 * The server:  node main.js FORM --listen unix:PATH|tcp:PORT [--period MS] [--children N]
 *
 * Prints `listening ADDRESS` when it is ready. SIGTERM and SIGINT end it, and its socket file is removed. Loopback only.
 */
import { parseArgs } from 'node:util';
import { IpcError } from '../../system/index.js';
import { type Address, addressText, listenAt, parseAddress } from './address.js';
import type { Form, Settings } from './form.js';
import { forms } from './forms/index.js';

const USAGE = `usage: main.js ${[...forms.keys()].join('|')} --listen unix:PATH|tcp:PORT [--period MS] [--children N]`;

function commandLine(): { form: Form; address: Address; settings: Settings } | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        listen: { type: 'string', default: '' },
        period: { type: 'string', default: '10' },
        children: { type: 'string', default: '64' },
      },
    });
    const form = forms.get(positionals[0] ?? '');
    const address = parseAddress(values.listen);
    const period = Number(values.period);
    const children = Number(values.children);
    const valid =
      positionals.length === 1 && [period, children].every((value) => Number.isInteger(value) && value >= 1);
    if (form === undefined || address === undefined || !valid) return undefined;
    return { form, address, settings: { period, children } };
  } catch {
    return undefined;
  }
}

async function serve(form: Form, wanted: Address, settings: Settings): Promise<void> {
  const stop = new AbortController();
  const end = () => stop.abort();
  process.once('SIGTERM', end).once('SIGINT', end);
  const { server, address } = listenAt(wanted);
  try {
    process.stdout.write(`listening ${addressText(address)}\n`);
    await form.run({ server, kind: address.kind, settings, stop: stop.signal });
  } finally {
    server.close();
    process.off('SIGTERM', end).off('SIGINT', end);
  }
}

const options = commandLine();
if (options === undefined) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  try {
    await serve(options.form, options.address, options.settings);
  } catch (error) {
    if (!(error instanceof IpcError || error instanceof TypeError)) throw error;
    console.error(`server: ${error.message}`);
    process.exitCode = 1;
  }
}

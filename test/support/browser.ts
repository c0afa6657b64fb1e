/** A page in headless Chromium, over the DevTools protocol on a pair of pipes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';

const CHROMIUM = '/usr/bin/chromium';
export const noBrowser: string | false = !existsSync(CHROMIUM) && 'needs Chromium (apt-get install chromium)';

interface Message {
  id?: number;
  method?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: { message: string };
  sessionId?: string;
}

export class Browser {
  readonly #child: ChildProcess;
  readonly #to: Writable;
  readonly #answers = new Map<
    number,
    { resolve: (result: Record<string, unknown>) => void; reject: (error: Error) => void }
  >();
  #listeners: ((method: string, params: Record<string, unknown>) => void)[] = [];
  #session: string | undefined;
  #last = 0;

  private constructor(profile: string) {
    const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
    // Nothing of its own may go out: names are not resolved.
    args.push(
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
      `--user-data-dir=${profile}`,
      '--remote-debugging-pipe',
    );
    this.#child = spawn(CHROMIUM, [...args, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
    // Its helpers hold this one too: it ends when the last of them has.
    this.#child.stderr!.resume();
    this.#to = this.#child.stdio[3] as Writable;
    let rest = '';
    (this.#child.stdio[4] as Readable).setEncoding('utf8').on('data', (chunk: string) => {
      const messages = (rest + chunk).split('\0');
      rest = messages.pop()!;
      for (const text of messages) this.#receive(JSON.parse(text) as Message);
    });
    this.#child.on('exit', () => {
      for (const { reject } of this.#answers.values()) reject(new Error('Chromium has ended'));
    });
  }
  static async start(profile: string): Promise<Browser> {
    const browser = new Browser(profile);
    const { targetId } = await browser.call('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await browser.call('Target.attachToTarget', { targetId, flatten: true });
    browser.#session = sessionId as string;
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await browser.call(`${domain}.enable`);
    await browser.call('Page.setLifecycleEventsEnabled', { enabled: true });
    return browser;
  }
  #receive({ id, method, params, result, error }: Message): void {
    if (id === undefined) {
      for (const listener of [...this.#listeners]) listener(method!, params ?? {});
      return;
    }
    const answer = this.#answers.get(id);
    this.#answers.delete(id);
    if (error) answer?.reject(new Error(error.message));
    else answer?.resolve(result ?? {});
  }
  on(listener: (method: string, params: Record<string, unknown>) => void): void {
    this.#listeners.push(listener);
  }
  call(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, { resolve, reject });
      this.#to.write(`${JSON.stringify({ id, method, params, sessionId: this.#session })}\0`);
    });
  }
  /** Opens an address and waits until it has loaded. */
  async open(url: string): Promise<void> {
    const loaded = new Set<unknown>();
    let look = () => {};
    const listener = (method: string, { name, loaderId }: Record<string, unknown>) => {
      if (method !== 'Page.lifecycleEvent' || name !== 'load') return;
      loaded.add(loaderId);
      look();
    };
    this.#listeners.push(listener);
    const { loaderId, errorText } = await this.call('Page.navigate', { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await new Promise<void>((resolve) => {
      look = () => loaded.has(loaderId) && resolve();
      look();
    });
    this.#listeners = this.#listeners.filter((other) => other !== listener);
  }
  /** The value of an expression in the page; a promise is awaited. */
  async evaluate<T>(expression: string): Promise<T> {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', options);
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  }
  /** A screenshot as PNG. */
  async screenshot(): Promise<Buffer> {
    return Buffer.from((await this.call('Page.captureScreenshot')).data as string, 'base64');
  }
  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    await this.call('Browser.close').catch(() => {});
    await ended;
  }
}

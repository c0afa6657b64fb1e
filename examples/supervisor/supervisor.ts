// Keeps programs running: node dist/supervisor.js 'COMMAND' 'COMMAND' …
//   SIGHUP restarts them, SIGUSR2 prints their state, SIGTERM and Ctrl+C stop them.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type PipeReader, pipe, type SignalInfo, type SignalName, signals } from 'vecino';

const STOP_MS = 5000; // then SIGKILL
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 10_000;

/** The programs hold the reading end. Nobody writes: its end tells them that the supervisor has died, however it did. */
const lifeline = pipe();
let stopping = false;
const say = (text: string) => console.log(`supervisor: ${text}`);

class Program {
  readonly name: string;
  readonly command: string;
  #child: ChildProcess | undefined;
  #starts = 0;
  #startedAt = 0;
  #delay = FIRST_DELAY_MS;
  #restart: NodeJS.Timeout | undefined;

  constructor(name: string, command: string) {
    this.name = name;
    this.command = command;
  }

  start(): void {
    const output = pipe();
    const child = spawn('/bin/sh', ['-c', `exec ${this.command}`], {
      stdio: ['ignore', output.writer.fd, output.writer.fd, lifeline.reader.fd],
      detached: true, // a process group of its own: Ctrl+C reaches the supervisor alone
    });
    output.writer.close(); // the child has it; else we would never see the end
    void this.#print(output.reader);
    this.#child = child;
    this.#startedAt = performance.now();
    this.#starts++;
    say(`${this.name} started (${child.pid})`);
    child.once('exit', (code, signal) => this.#ended(String(signal ?? code)));
  }
  send(signal: SignalName): void {
    if (this.#child?.pid !== undefined) signals.send(this.#child.pid, signal);
  }
  stop(): void {
    clearTimeout(this.#restart);
    this.send('SIGTERM');
    const child = this.#child;
    if (child === undefined) return;
    const impatient = setTimeout(() => this.send('SIGKILL'), STOP_MS);
    child.once('exit', () => clearTimeout(impatient));
  }
  state(): string {
    const running = this.#child === undefined ? 'waits to start' : `runs as ${this.#child.pid}`;
    return `${this.name} ${running}, start ${this.#starts}`;
  }
  async #print(reader: PipeReader): Promise<void> {
    for await (const line of createInterface({ input: reader.toStream() })) console.log(`${this.name} | ${line}`);
  }
  #ended(how: string): void {
    this.#child = undefined;
    say(`${this.name} ended (${how})`);
    if (stopping) return;
    // One that ran for a while starts again soon; one that fails at once waits longer each time.
    if (performance.now() - this.#startedAt > MAX_DELAY_MS) this.#delay = FIRST_DELAY_MS;
    this.#restart = setTimeout(() => this.start(), this.#delay);
    this.#delay = Math.min(this.#delay * 2, MAX_DELAY_MS);
  }
}

const programs = process.argv.slice(2).map((command, i) => new Program(`program-${i + 1}`, command));
if (programs.length === 0) {
  console.error("usage: supervisor.js 'COMMAND' …");
  process.exit(2);
}

signals.on('SIGHUP', ({ pid }) => {
  say(`process ${pid} wants a restart`);
  for (const program of programs) program.send('SIGTERM'); // they are started again when they have ended
});
signals.on('SIGUSR2', () => {
  for (const program of programs) say(program.state());
});
function stop({ name }: SignalInfo): void {
  if (stopping) return;
  stopping = true;
  say(`stops (${name})`);
  for (const program of programs) program.stop(); // when the last has ended, nothing keeps us running
}
signals.on('SIGTERM', stop);
signals.on('SIGINT', stop);
process.once('exit', () => say('stopped'));

say(`process ${process.pid}`);
for (const program of programs) program.start();

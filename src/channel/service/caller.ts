/**
 * What all views of one client share: its connection, the calls in flight by their numbers, and those that wait to be sent.
 *
 * A call waits while the service has its maximum of calls in flight, and, with `reconnect`, while there is no service. It is in flight
 * until the service has ended it, even if it was cancelled: only then its number can be used again.
 *
 * Hostile services: a frame for no call in flight, out of turn or beyond a stream's credit ends the connection.
 */
import { checkBoolean, checkInteger, checkName, checkOptions } from '../../system/arguments.js';
import { Deadline } from '../../system/deadline.js';
import {
  ClosedError,
  CorruptError,
  IpcError,
  MessageTooLargeError,
  NotEncodableError,
  PeerDiedError,
} from '../../system/errors.js';
import { KeepAlive } from '../../system/keep-alive.js';
import { Spin } from '../../system/spin.js';
import type { Coder } from '../codec/index.js';
import { Call, type CallOwner } from './call.js';
import { argumentNotEncodable, gone, notDecodable } from './call-errors.js';
import { CallQueue } from './call-queue.js';
import { CallsInFlight } from './calls-in-flight.js';
import { ClientConnection, type ConnectionOwner } from './client-connection.js';
import { valueCoder } from './coder.js';
import { dial, dialUntilThere, type Greeted } from './dial.js';
import {
  CALL,
  CANCEL,
  CREDIT,
  END,
  FAILURE,
  type Frame,
  FrameWriter,
  GOODBYE,
  ITEM,
  ITEM_OVERHEAD_BYTES,
  LAST,
  REFUSED,
  RESULT,
  renumber,
  STREAM,
} from './frame.js';
import { post } from './post.js';
import { decodeError } from './remote-error.js';
import { type CallOptions, type ClientOptions, SERVICE_OPTIONS } from './types.js';

const CONNECT_TIMEOUT_MS = 30_000;
const STREAM_WINDOW_BYTES = 65_536;
const MAX_STREAM_WINDOW_BYTES: number = 2 ** 30;
/** Milliseconds of silence after which a call first checks that the service is alive. */
const SILENCE_MS = 2;

export class Caller implements CallOwner, ConnectionOwner {
  readonly name: string;
  /** How many calls wait for a frame. */
  wanted = 0;
  /** Pending calls keep the program running. */
  readonly keepAlive: KeepAlive = new KeepAlive();
  readonly #options: ClientOptions;
  readonly #reconnect: boolean;
  readonly #window: number;
  readonly #coder: Coder<unknown>;
  readonly #writer: FrameWriter;
  #wire: ClientConnection | undefined;
  readonly #flying = new CallsInFlight();
  readonly #queue = new CallQueue();
  #calls = 0;
  #closed = false;
  /** Why there is no connection. */
  #loss: unknown;
  #connecting: AbortController | undefined;

  constructor(name: string, options: ClientOptions) {
    this.name = checkName('name', name);
    checkOptions('options', options, SERVICE_OPTIONS);
    const { reconnect = false, window = STREAM_WINDOW_BYTES, codec, spin } = options;
    this.#options = options;
    this.#reconnect = checkBoolean('options.reconnect', reconnect);
    this.#window = checkInteger('options.window', window, 1, MAX_STREAM_WINDOW_BYTES);
    this.#coder = valueCoder(codec);
    this.#writer = new FrameWriter(this.#coder);
    new Spin(spin);
  }
  get closed(): boolean {
    return this.#closed;
  }
  get pid(): number | undefined {
    return this.#wire?.connection.peer.pid;
  }
  get pending(): number {
    return this.#queue.size + this.#flying.pending;
  }
  /** The first connection. */
  async open(): Promise<void> {
    const { timeout = this.#reconnect ? undefined : CONNECT_TIMEOUT_MS, signal } = this.#options;
    const deadline = new Deadline(`connect to service '${this.name}'`, { timeout, signal });
    signal?.throwIfAborted();
    const aborted = new AbortController();
    const callOff = deadline.onEnd((error) => aborted.abort(error));
    try {
      this.#adopt(await this.keepAlive.during(() => this.#dial(aborted.signal)));
    } finally {
      callOff();
    }
  }
  call(method: string, args: unknown[], options: CallOptions | undefined): Call {
    const call = new Call(this, method, options);
    call.serial = ++this.#calls;
    if (call.settled) return call;
    let frame: Uint8Array;
    try {
      if (this.#closed) throw this.#closedError();
      args.unshift(method);
      frame = this.#writer.value(CALL, 0, args);
    } catch (error) {
      call.fail(() =>
        error instanceof IpcError && !(error instanceof NotEncodableError)
          ? error
          : argumentNotEncodable(method, this.#coder.name, error),
      );
      return call;
    }
    const wire = this.#ready();
    if (wire !== undefined && this.#queue.size === 0 && this.#flying.size < wire.limit) {
      if (this.#reconnect) call.frame = frame.slice();
      this.#launch(wire, call, frame);
    } else {
      call.frame = frame.slice();
      this.#queue.add(call);
      this.#advance();
    }
    return call;
  }
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connecting?.abort();
    this.#drop(() => this.#closedError());
    this.#queue.fail(() => this.#closedError());
  }

  // Called by calls.

  want(change: 1 | -1): void {
    this.wanted += change;
    if (change > 0) {
      this.keepAlive.begin();
      if (this.wanted === 1) this.#wire?.frames.start();
      return;
    }
    this.keepAlive.end();
    if (this.wanted === 0) this.#wire?.frames.rest();
  }
  cancel(call: Call): void {
    if (this.#queue.delete(call)) {
      if (this.#queue.size === 0) this.#connecting?.abort();
      return;
    }
    const wire = this.#wire;
    if (wire !== undefined && this.#flying.has(call)) this.#post(wire, this.#writer.bare(CANCEL, call.id));
  }
  consumed(call: Call, bytes: number): void {
    call.owed += bytes;
    const wire = this.#wire;
    if (call.owed < this.#window >> 1 || wire === undefined || !this.#flying.has(call)) return;
    this.#grant(wire, call, call.owed);
    call.owed = 0;
  }

  // Called by the connection.

  received(wire: ClientConnection, frame: Frame): void {
    if (wire !== this.#wire) return;
    const { kind, problem } = frame;
    if (kind === GOODBYE) {
      wire.retired = true;
      return;
    }
    if (kind === LAST) {
      wire.retired = true;
      wire.unread = (wire.launched - frame.number) >>> 0;
      if (wire.unread > wire.launched) throw this.#damage('an invalid number of unread calls');
      return;
    }
    const call = this.#flying.get(frame.call);
    if (call === undefined) throw this.#damage(`a frame of kind ${kind} for no call in flight`);
    switch (kind) {
      case RESULT:
        if (call.isStream && !call.settled) throw this.#damage('a single result for a stream');
        this.#landed(call);
        if (problem === undefined) call.succeed(frame.value);
        else call.fail(() => notDecodable(`what ${call.method}() gave`, this.#coder.name, problem), true);
        break;
      case STREAM:
        if (call.isStream && !call.settled) throw this.#damage('a second begin of a stream');
        call.stream();
        if (!call.settled) this.#grant(wire, call, this.#window);
        return;
      case ITEM: {
        if (call.settled) return; // it was cancelled
        const cost = frame.length + ITEM_OVERHEAD_BYTES;
        if (!call.isStream || call.credit <= 0) throw this.#damage('a stream value without credit');
        call.credit -= cost;
        if (problem === undefined) call.item(frame.value, cost);
        else {
          this.cancel(call);
          call.fail(() => notDecodable(`what ${call.method}() gave`, this.#coder.name, problem));
        }
        return;
      }
      case END:
        if (!call.isStream && !call.settled) throw this.#damage('the end of a stream that did not begin');
        this.#landed(call);
        call.succeed(undefined);
        break;
      case FAILURE: {
        const { text } = frame;
        decodeError(text); // an invalid error ends the connection
        this.#landed(call);
        call.fail(() => decodeError(text), true);
        break;
      }
      case REFUSED:
        this.#landed(call);
        wire.retired = true;
        if (call.settled) break;
        if (this.#reconnect && call.frame !== undefined) this.#queue.addAgain(call);
        else call.fail(() => gone(this.name, new ClosedError(''), call.method));
        break;
      default:
        throw this.#damage(`a frame of kind ${kind}`);
    }
    if (this.#queue.size > 0) this.#advance();
  }
  lost(wire: ClientConnection, error: unknown): void {
    if (wire !== this.#wire) return;
    this.#loss = error;
    if (this.#reconnect && wire.unread > 0) this.#takeBack(wire);
    this.#drop((call) => gone(this.name, error, call.method));
    if (this.#queue.size > 0) this.#advance();
  }

  /** What the service has not read was not executed: it goes to the next service, before the waiting calls. */
  #takeBack(wire: ClientConnection): void {
    for (const call of this.#flying.clearAfter(wire.launched - wire.unread)) {
      if (!call.settled && call.frame !== undefined) this.#queue.addAgain(call);
    }
  }
  /** The connection, if it can send a call. */
  #ready(): ClientConnection | undefined {
    const wire = this.#wire;
    if (wire === undefined || wire.retired) return undefined;
    const idle = this.#flying.size === 0;
    if (!idle && !this.#reconnect) return wire; // its frame reader will find out
    // The service may have died long ago unnoticed, and a call that is sent to it would fail.
    const now = performance.now();
    if (now - wire.heard <= SILENCE_MS) return wire;
    wire.heard = now;
    if (!wire.connection.isOver) return wire;
    if (idle) {
      const error = wire.finish();
      if (error !== undefined) this.lost(wire, error);
      return undefined;
    }
    wire.retired = true;
    wire.frames.start();
    return undefined;
  }
  /** Sends the waiting calls, as far as possible; connects if necessary. */
  #advance(): void {
    const wire = this.#ready();
    if (wire !== undefined) {
      for (const call of this.#queue) {
        if (this.#flying.size >= wire.limit || wire !== this.#wire) return;
        this.#queue.delete(call);
        this.#launch(wire, call, call.frame!);
      }
      return;
    }
    if (!this.#reconnect) {
      const loss = this.#wire?.retired ? new ClosedError('') : this.#loss;
      this.#queue.fail((call) => gone(this.name, loss, call.method));
      return;
    }
    if (this.#wire !== undefined) {
      if (this.#flying.size > 0) return; // it accepts no more calls, but answers those that it has
      this.#drop(() => this.#closedError());
    }
    if (this.#connecting === undefined) void this.#connectAgain();
  }
  async #connectAgain(): Promise<void> {
    const aborted = new AbortController();
    this.#connecting = aborted;
    let failure: unknown;
    try {
      const greeted = await this.#dial(aborted.signal);
      if (this.#closed) greeted.connection.close();
      else this.#adopt(greeted);
    } catch (error) {
      failure = error;
    }
    this.#connecting = undefined;
    if (this.#queue.size === 0 || this.#closed) return;
    if (failure !== undefined && !aborted.signal.aborted) {
      const error = failure;
      this.#queue.fail(() => error as Error);
    } else this.#advance();
  }
  #dial(signal: AbortSignal): Promise<Greeted> {
    return this.#reconnect ? dialUntilThere(this.name, this.#options, signal) : dial(this.name, this.#options, signal);
  }
  #adopt(greeted: Greeted): void {
    const wire = new ClientConnection(this, greeted);
    this.#wire = wire;
    this.#loss = undefined;
    this.#queue.sort();
    if (this.wanted > 0) wire.frames.start();
  }
  #launch(wire: ClientConnection, call: Call, frame: Uint8Array): void {
    this.#flying.add(call);
    renumber(frame, call.id);
    // A call that is too large for the service is not sent, so it does not count: otherwise another one would take its place among the
    // unread calls.
    call.ordinal = frame.length <= wire.connection.peerTakes ? ++wire.launched : 0;
    wire.frames.start();
    this.#post(wire, frame, call);
    if (!this.#reconnect) call.frame = undefined;
  }
  #landed(call: Call): void {
    this.#flying.delete(call);
    if (this.#flying.size === 0 && this.#wire !== undefined) this.#wire.heard = performance.now();
  }
  #grant(wire: ClientConnection, call: Call, bytes: number): void {
    call.credit += bytes;
    this.#post(wire, this.#writer.number(CREDIT, call.id, bytes));
  }
  #post(wire: ClientConnection, frame: Uint8Array, call?: Call): void {
    try {
      const sent = post(wire.connection, frame);
      if (sent === true) return;
      sent.catch((error) => {
        if (call === undefined || !(error instanceof MessageTooLargeError)) return this.#broken(wire, error);
        if (!this.#flying.has(call)) return;
        this.#landed(call);
        call.fail(() => error);
        if (this.#queue.size > 0) this.#advance();
      });
    } catch (error) {
      this.#broken(wire, error);
    }
  }
  /** Nothing can be sent any more. What the service had sent before is still received; the loss is at its end. */
  #broken(wire: ClientConnection, error: unknown): void {
    if (wire !== this.#wire) return;
    if (error instanceof ClosedError || error instanceof PeerDiedError) wire.frames.start();
    else this.lost(wire, error);
  }
  /** Ends the connection and the calls in flight. */
  #drop(make: (call: Call) => Error): void {
    const wire = this.#wire;
    if (wire === undefined) return;
    this.#wire = undefined;
    wire.frames.stop();
    wire.connection.close();
    for (const call of this.#flying.clear()) call.fail(() => make(call));
  }
  #closedError(): ClosedError {
    return new ClosedError(`the client of service '${this.name}'`);
  }
  #damage(what: string): CorruptError {
    return new CorruptError(`service '${this.name}' violated the protocol: it sent ${what}`);
  }
}

/**
 * One client, on the side of the service: its connection, and its calls.
 *
 * Hostile clients: a frame that our clients never send (an invalid one, a number twice, more calls than granted) ends this connection and
 * no other. Frames for no call are ignored: they may have crossed the call's end.
 */

import { CorruptError, IpcError } from '../../system/errors.js';
import type { Credentials } from '../../system/socket-option.js';
import type { Connection } from '../connection/index.js';
import { Answer } from './answer.js';
import { cancelled, notDecodable, serviceClosed } from './call-errors.js';
import { CALL, CANCEL, CREDIT, type Frame, type FrameWriter, GOODBYE, HELLO, LAST, REFUSED } from './frame.js';
import { FrameReader, type Reader } from './frame-reader.js';
import type { Handler } from './names.js';
import { post } from './post.js';

/** What the sessions of a service have in common. */
export interface Offer {
  readonly name: string;
  readonly codec: string;
  readonly methods: ReadonlyMap<string, Handler>;
  readonly maxCalls: number;
  readonly writer: FrameWriter;
  over(session: Session): void;
}

export class Session implements Reader {
  readonly peer: Credentials;
  readonly wanted = true;
  readonly #offer: Offer;
  readonly #connection: Connection<unknown>;
  readonly #frames: FrameReader;
  /** Calls that have not ended; and how many of them are still running: the last frame of the others waits for room. */
  readonly #answers = new Map<number, Answer>();
  #running = 0;
  /** Calls that were read, refused ones too. */
  #read = 0;
  #retired = false;
  /** Calls that came after that. */
  #refused = 0;
  #over = false;

  constructor(offer: Offer, connection: Connection<unknown>) {
    this.#offer = offer;
    this.#connection = connection;
    this.peer = connection.peer;
    this.#frames = new FrameReader(connection, this);
  }
  get writer(): FrameWriter {
    return this.#offer.writer;
  }
  get codec(): string {
    return this.#offer.codec;
  }
  /** Calls that have not ended. */
  get calls(): number {
    return this.#answers.size;
  }
  start(): void {
    this.#tell(this.writer.number(HELLO, 0, this.#offer.maxCalls));
    this.#frames.start();
  }
  received(frame: Frame): void {
    switch (frame.kind) {
      case CALL:
        this.#call(frame);
        break;
      case CANCEL:
        this.#answers.get(frame.call)?.cancel(cancelled());
        break;
      case CREDIT:
        this.#answers.get(frame.call)?.grant(frame.number);
        break;
      default:
        throw new CorruptError(`a client sent a frame of kind ${frame.kind}, which only a service sends`);
    }
  }
  lost(error: unknown): void {
    this.fail(error);
  }
  /** True: it is in the ring. Otherwise it waits for room, with a copy of the frame. */
  post(frame: Uint8Array): true | Promise<void> {
    if (this.#over) return true; // the client has gone
    try {
      return post(this.#connection, frame);
    } catch (error) {
      this.fail(error);
      return true;
    }
  }
  /** Its last frame is being sent. */
  ending(): void {
    this.#running--;
  }
  /** Its last frame is in the ring. */
  done(answer: Answer): void {
    if (!this.#answers.delete(answer.id) || !this.#retired || this.#answers.size > 0) return;
    this.#leave();
  }
  /** Accepts no further calls, and ends when the running ones have ended. */
  retire(): void {
    if (this.#retired || this.#over) return;
    this.#retired = true;
    this.#tell(this.writer.bare(GOODBYE, 0));
    if (this.#answers.size === 0) this.#leave();
  }
  /** Ends everything now, and tells the client which of its calls were not read. */
  close(): void {
    if (this.#over) return;
    try {
      // Without room for it the client does not learn it, and fails all of them.
      this.#connection.trySend(this.writer.number(LAST, 0, this.#read >>> 0));
    } catch {
      // The client has gone.
    }
    this.fail(serviceClosed(this.#offer.name));
  }
  /** Ends everything now. */
  fail(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#frames.stop();
    this.#connection.close();
    const answers = [...this.#answers.values()];
    this.#answers.clear();
    for (const answer of answers) answer.cancel(reason);
    this.#offer.over(this);
  }

  /** Calls that came meanwhile were not executed, and get that answer. */
  #leave(): void {
    try {
      this.#frames.sweep(this.#offer.maxCalls);
    } catch {
      // It is over anyway.
    }
    this.close();
  }
  #tell(frame: Uint8Array): void {
    const sent = this.post(frame);
    if (sent !== true) sent.catch((error) => this.fail(error));
  }
  #call(frame: Frame): void {
    const { call: id, value: request, problem } = frame;
    this.#read++;
    if (this.#answers.has(id)) throw new CorruptError(`a client used the number ${id} for two calls at the same time`);
    const { maxCalls, methods } = this.#offer;
    // A client may have read an answer and called again before we know that the answer is in the ring.
    if (this.#running >= maxCalls || this.#answers.size >= 2 * maxCalls)
      throw new CorruptError(`a client has more than ${maxCalls} calls in flight`);
    if (this.#retired) {
      // A client learns that it must not call any more before it gets refusals: it has at most so many calls in flight.
      if (++this.#refused > maxCalls)
        throw new CorruptError(`a client keeps calling a service that has stopped accepting calls`);
      this.#tell(this.writer.bare(REFUSED, id));
      return;
    }
    if (problem !== undefined) {
      const answer = this.#begin(id, '');
      answer.refuse(notDecodable('the arguments of a call', this.#offer.codec, problem));
      return;
    }
    if (!Array.isArray(request) || typeof request[0] !== 'string')
      throw new CorruptError('a client sent a call without a method');
    const method = request.shift() as string;
    const answer = this.#begin(id, method);
    const handler = methods.get(method);
    if (handler !== undefined) answer.run(handler, request);
    else answer.refuse(this.#unknown(method));
  }
  #begin(id: number, method: string): Answer {
    const answer = new Answer(this, id, method);
    this.#answers.set(id, answer);
    this.#running++;
    return answer;
  }
  #unknown(method: string): IpcError {
    const known = [...this.#offer.methods.keys()].slice(0, 20).join(', ');
    return new IpcError(
      'ERR_VECINO_UNKNOWN_METHOD',
      `service '${this.#offer.name}' has no method '${method.slice(0, 100)}'. It has: ${known}`,
    );
  }
}

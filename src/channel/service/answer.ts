/**
 * One call, on the side of the service: runs the handler and sends its result.
 *
 * Exactly one frame ends the call on the client's side, cancelled or not; then its number is free there. A stream pulls the next value from
 * the handler only once the previous one is in the ring, and only while the client has given credit.
 */
import { CorruptError, type IpcError, MessageTooLargeError } from '../../system/errors.js';
import type { Credentials } from '../../system/socket-option.js';
import { notEncodable } from './call-errors.js';
import { CallContext } from './context.js';
import { CREDIT, END, FAILURE, type FrameWriter, ITEM, ITEM_OVERHEAD_BYTES, RESULT, STREAM } from './frame.js';
import type { Handler } from './names.js';
import { encodeError } from './remote-error.js';

/** The {@link Session}: where the call came from, and where its frames go. */
interface Caller {
  readonly peer: Credentials;
  readonly writer: FrameWriter;
  /** The codec's name. */
  readonly codec: string;
  /** True: the frame is in the ring. Otherwise it will be. */
  post(frame: Uint8Array): true | Promise<void>;
  /** Only its last frame is still to come. */
  ending(): void;
  /** Its last frame is in the ring. */
  done(answer: Answer): void;
  fail(error: unknown): void;
}

/** The most bytes that a client may request ahead. */
const MAX_CREDIT_BYTES = 2 ** 31;

export class Answer {
  readonly id: number;
  readonly context: CallContext;
  readonly #caller: Caller;
  #cancelled = false;
  #ended = false;
  /** Of a stream. */
  #iterator: AsyncIterator<unknown> | undefined;
  #credit = 0;
  #wake: (() => void) | undefined;

  constructor(caller: Caller, id: number, method: string) {
    this.#caller = caller;
    this.id = id;
    this.context = new CallContext(method, caller.peer);
  }
  run(handler: Handler, args: unknown[]): void {
    let result: unknown;
    try {
      result = handler.apply(this.context, args);
      if (isThenable(result)) {
        (result instanceof Promise ? result : Promise.resolve(result)).then(
          (value) => this.#give(value),
          (error) => this.#fail(error),
        );
        return;
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#give(result);
  }
  /** A call that could not even begin. */
  refuse(error: unknown): void {
    this.#fail(error);
  }
  /** The caller does not wait for it any more. */
  cancel(reason: unknown): void {
    if (this.#cancelled || this.#ended) return;
    this.#cancelled = true;
    CallContext.abort(this.context, reason);
    this.#stopIterator();
    this.#wake?.();
  }
  grant(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > MAX_CREDIT_BYTES)
      throw new CorruptError(`a client sent an invalid credit of ${this.#credit} bytes (frame ${CREDIT})`);
    if (this.#credit > 0) this.#wake?.();
  }

  #give(value: unknown): void {
    let make: (() => AsyncIterator<unknown>) | undefined;
    try {
      make = iteration(value);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (make !== undefined) {
      void this.#pour(make);
      return;
    }
    let frame: Uint8Array;
    try {
      frame = this.#caller.writer.value(RESULT, this.id, value);
    } catch (error) {
      this.#fail(this.#unfit('the result', error));
      return;
    }
    this.#end(frame);
  }
  #fail(error: unknown): void {
    if (this.#ended) return;
    const { method } = this.context;
    this.#end(this.#caller.writer.text(FAILURE, this.id, encodeError(error, `${method}()`)));
  }
  #unfit(what: string, cause: unknown): IpcError {
    return notEncodable(`${what} of ${this.context.method}()`, this.#caller.codec, cause);
  }
  /** Sends the last frame. The call counts until that is in the ring, so that a client that does not read cannot accumulate calls. */
  #end(frame: Uint8Array): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#caller.ending();
    const sent = this.#caller.post(frame);
    if (sent === true) this.#caller.done(this);
    else {
      sent.then(
        () => this.#caller.done(this),
        (error) => this.#notSent(error),
      );
    }
  }
  #notSent(error: unknown): void {
    if (!(error instanceof MessageTooLargeError)) {
      this.#caller.fail(error);
      return;
    }
    const frame = this.#caller.writer.text(FAILURE, this.id, encodeError(error, ''));
    Promise.resolve(this.#caller.post(frame)).then(
      () => this.#caller.done(this),
      (reason) => this.#caller.fail(reason),
    );
  }

  async #pour(make: () => AsyncIterator<unknown>): Promise<void> {
    let last: unknown;
    try {
      const iterator = make();
      this.#iterator = iterator;
      if (this.#cancelled) this.#stopIterator();
      else await this.#caller.post(this.#caller.writer.bare(STREAM, this.id));
      while (!this.#cancelled) {
        if (this.#credit <= 0) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
          continue;
        }
        let step: IteratorResult<unknown>;
        try {
          step = await iterator.next();
        } catch (error) {
          this.#iterator = undefined; // it ended by itself
          throw error;
        }
        if (this.#cancelled) break;
        if (typeof step !== 'object' || step === null)
          throw new TypeError(`the handler's iterator returned ${String(step)}, which is not an iterator result`);
        if (step.done) {
          last = step.value;
          this.#iterator = undefined;
          break;
        }
        let frame: Uint8Array;
        try {
          frame = this.#caller.writer.value(ITEM, this.id, step.value);
        } catch (error) {
          throw this.#unfit('a value', error);
        }
        this.#credit -= frame.length + ITEM_OVERHEAD_BYTES;
        const sent = this.#caller.post(frame);
        if (sent !== true) await sent;
      }
      await this.#stopped;
      let frame: Uint8Array;
      try {
        frame = this.#caller.writer.value(END, this.id, this.#cancelled ? undefined : last);
      } catch (error) {
        throw this.#unfit('what the stream returns', error);
      }
      this.#end(frame);
    } catch (error) {
      this.#stopIterator();
      this.#fail(error);
    }
  }
  /** What {@link #stopIterator} has begun. */
  #stopped: Promise<unknown> | undefined;
  /** At once, also while a value is pending: some iterators end that wait on return(). */
  #stopIterator(): void {
    const iterator = this.#iterator;
    if (iterator === undefined) return;
    this.#iterator = undefined;
    this.#stopped = (async () => {
      await iterator.return?.();
    })();
    this.#stopped.catch(() => {}); // reported where it is awaited, if it is
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
/** How to begin it, if the value is an asynchronous iterable. */
function iteration(value: unknown): (() => AsyncIterator<unknown>) | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const method = (value as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator];
  return typeof method === 'function' ? () => method.call(value) : undefined;
}

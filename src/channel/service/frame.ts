/**
 * The frames between a client and a service, one per message of the connection:
 *
 *     byte 0  kind u32    the lowest byte; above it VOID: there is no payload, which means `undefined`
 *          4  call u32    the number of the call, chosen by the client, not that of another one of its calls in flight
 *          8  payload
 *
 *     client -> service                      service -> client
 *     CALL    [method, ...arguments]         HELLO    u32: calls that may be in flight    (once, first)
 *     CREDIT  u32: more bytes may come       STREAM   the answer will be ITEMs
 *     CANCEL                                 ITEM     a value
 *                                            RESULT   the value              \
 *                                            END      what the stream returns | one of these ends every CALL,
 *                                            FAILURE  the error, as JSON      | cancelled or not
 *                                            REFUSED  it was not executed    /
 *                                            GOODBYE  no CALL will be accepted any more
 *                                            LAST     u32: how many CALLs were read, modulo 2^32; later ones were not executed
 *
 * Values use the codec; errors are JSON whatever the codec. The items of a stream, each costing {@link ITEM_OVERHEAD_BYTES} bytes more than its
 * frame, may use up the bytes that the client has given credit for; the last one may exceed it. Little-endian, as the shared memory.
 */
import { CorruptError, IpcError } from '../../system/errors.js';
import type { Coder } from '../codec/index.js';
import { Scratch } from '../codec/scratch.js';

export const CALL = 1;
export const CANCEL = 2;
export const CREDIT = 3;
export const HELLO = 4;
export const STREAM = 5;
export const ITEM = 6;
export const RESULT = 7;
export const END = 8;
export const FAILURE = 9;
export const REFUSED = 10;
export const GOODBYE = 11;
export const LAST = 12;

const VOID = 0x100;
const HEADER = 8;
/** What a stored item takes of memory beside its bytes. */
export const ITEM_OVERHEAD_BYTES = 64;

/** Builds frames; each one is valid until the next is built. */
export class FrameWriter {
  readonly #coder: Coder<unknown>;
  readonly #scratch = new Scratch();
  #busy = false;

  constructor(coder: Coder<unknown>) {
    this.#coder = coder;
  }
  /** @throws whatever the codec throws if it cannot encode the value */
  value(kind: number, call: number, value: unknown): Uint8Array {
    if (value === undefined) return this.bare(kind | VOID, call);
    if (this.#busy)
      throw new IpcError(
        'ERR_VECINO_REENTRANT',
        'the code of a value (a getter, toJSON) must not call the service while the value is encoded',
      );
    this.#busy = true;
    try {
      return this.#frame(kind, call, this.#coder.encode(value));
    } finally {
      this.#busy = false;
    }
  }
  bare(kind: number, call: number): Uint8Array {
    this.#scratch.room(HEADER);
    return this.#head(kind, call, HEADER);
  }
  number(kind: number, call: number, number: number): Uint8Array {
    this.#scratch.room(HEADER + 4);
    this.#scratch.words[2] = number;
    return this.#head(kind, call, HEADER + 4);
  }
  text(kind: number, call: number, text: string): Uint8Array {
    return this.#frame(kind, call, Buffer.from(text));
  }
  #frame(kind: number, call: number, payload: Uint8Array): Uint8Array {
    this.#scratch.room(HEADER + payload.length).set(payload, HEADER);
    return this.#head(kind, call, HEADER + payload.length);
  }
  #head(kind: number, call: number, length: number): Uint8Array {
    const { words } = this.#scratch;
    words[0] = kind;
    words[1] = call;
    return this.#scratch.view(length);
  }
}
/** Sets the number of a frame that was built before its call had one. */
export function renumber(frame: Uint8Array, call: number): void {
  frame[4] = call;
  frame[5] = call >>> 8;
  frame[6] = call >>> 16;
  frame[7] = call >>> 24;
}

/** A received frame. There is one object per connection, which is filled again for each frame. */
export class Frame {
  kind = 0;
  call = 0;
  /** Bytes of all of it. */
  length = 0;
  value: unknown;
  number = 0;
  text = '';
  /** Why the value could not be decoded. */
  problem: unknown;
}

/** Decodes frames for the connection: an invalid header is an error; a value that the codec cannot decode is reported in the frame. */
export class FrameCoder implements Coder<unknown> {
  readonly name: string;
  readonly shared = false;
  readonly foreign: boolean;
  readonly #coder: Coder<unknown>;
  readonly #frame = new Frame();

  constructor(coder: Coder<unknown>) {
    this.name = coder.name;
    this.foreign = coder.foreign === true;
    this.#coder = coder;
  }
  /** Takes a frame of {@link FrameWriter} as it is. */
  encode(frame: unknown): Uint8Array {
    return frame as Uint8Array;
  }
  decode(memory: Uint8Array, offset: number, length: number): Frame {
    if (length < HEADER) throw new CorruptError(`invalid frame of ${length} bytes`);
    const frame = this.#frame;
    const head = word(memory, offset);
    const kind = head & 0xff;
    frame.kind = kind;
    frame.call = word(memory, offset + 4) >>> 0;
    frame.length = length;
    frame.value = undefined;
    frame.problem = undefined;
    const absent = head === (kind | VOID);
    if (!absent && head !== kind) throw new CorruptError(`invalid frame of kind ${head >>> 0}`);
    switch (kind) {
      case CALL:
      case ITEM:
      case RESULT:
      case END:
        if (absent) break;
        try {
          frame.value = this.#coder.decode(memory, offset + HEADER, length - HEADER);
        } catch (error) {
          frame.problem = error ?? new CorruptError('the codec cannot decode it');
        }
        return frame;
      case FAILURE:
        frame.text = Buffer.from(memory.buffer, memory.byteOffset + offset + HEADER, length - HEADER).toString();
        if (absent) break;
        return frame;
      case CREDIT:
      case HELLO:
      case LAST:
        if (length !== HEADER + 4) break;
        frame.number = word(memory, offset + HEADER) >>> 0;
        if (absent) break;
        return frame;
      case CANCEL:
      case STREAM:
      case REFUSED:
      case GOODBYE:
        if (absent || length !== HEADER) break;
        return frame;
    }
    if (absent && length === HEADER && (kind === ITEM || kind === RESULT || kind === END)) return frame;
    throw new CorruptError(`invalid frame of kind ${head >>> 0} and ${length} bytes`);
  }
}
function word(memory: Uint8Array, at: number): number {
  return memory[at]! | (memory[at + 1]! << 8) | (memory[at + 2]! << 16) | (memory[at + 3]! << 24);
}

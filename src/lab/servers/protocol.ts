/**
 * The protocol of all five servers: frames over a stream.
 *
 * ```text
 * 0  u32, little-endian  length of the payload, at most MAX_PAYLOAD
 * 4  u8                  operation in a request, outcome in an answer
 * 5  payload
 * ```
 *
 * Answers come in the order of the requests, which a client may send without waiting. Anything else is a protocol error: an answer with
 * ERROR, and the end of that connection.
 */

export const OPERATION = {
  /** Answers the payload. */
  ECHO: 1,
  /** Payload: u32, rounds of a computation (at most MAX_ROUNDS). Answers its u32 checksum. */
  WORK: 2,
  /** No payload. Answers JSON: the form and the pid of the process that answers. */
  STATUS: 3,
} as const;
export const OUTCOME = { OK: 0x80, ERROR: 0xff } as const;

export const HEADER = 5;
export const MAX_PAYLOAD: number = 256 * 1024;
/** A fraction of a millisecond: a request is bounded, because other clients wait meanwhile. */
export const MAX_ROUNDS = 100_000;

/** The bytes are not a frame of this protocol. */
export class ProtocolError extends Error {}

export interface Frame {
  /** An OPERATION, or an OUTCOME. */
  kind: number;
  /** Valid until the next frame is read. */
  payload: Uint8Array;
}

export function encodeFrame(kind: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEADER + payload.length);
  writeU32(frame, 0, payload.length);
  frame[4] = kind;
  frame.set(payload, HEADER);
  return frame;
}
export function encodeU32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeU32(bytes, 0, value);
  return bytes;
}
export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
function writeU32(bytes: Uint8Array, at: number, value: number): void {
  for (let index = 0; index < 4; index++) bytes[at + index] = value >>> (8 * index);
}

const nothing = new Uint8Array(0);

/**
 * Splits a stream into frames, however it arrives. Holds at most one incomplete frame, and memory only for the part of it that has come.
 */
export class FrameReader {
  readonly #isKind: (kind: number) => boolean;
  #held = nothing;
  #length = 0;
  constructor(isKind: (kind: number) => boolean) {
    this.#isKind = isKind;
  }
  /** Whether the stream may end here. */
  get complete(): boolean {
    return this.#length === 0;
  }
  /** The frames that are complete with `piece`. Iterate to its end. @throws ProtocolError */
  *push(piece: Uint8Array): Generator<Frame, void, undefined> {
    const data = this.#length === 0 ? piece : this.#append(piece);
    let at = 0;
    while (data.length - at >= HEADER) {
      const length = readU32(data, at);
      const kind = data[at + 4]!;
      if (length > MAX_PAYLOAD)
        throw new ProtocolError(`a payload of ${length} bytes; at most ${MAX_PAYLOAD} may come`);
      if (!this.#isKind(kind)) throw new ProtocolError(`an unknown operation, ${kind}`);
      const end = at + HEADER + length;
      if (end > data.length) break;
      yield { kind, payload: data.subarray(at + HEADER, end) };
      at = end;
    }
    this.#keep(data, at);
  }
  #append(piece: Uint8Array): Uint8Array {
    const length = this.#length + piece.length;
    if (length > this.#held.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#held.length));
      larger.set(this.#held.subarray(0, this.#length));
      this.#held = larger;
    }
    this.#held.set(piece, this.#length);
    this.#length = length;
    return this.#held.subarray(0, length);
  }
  #keep(data: Uint8Array, from: number): void {
    const rest = data.length - from;
    if (rest === 0) this.#held = nothing;
    else if (this.#length === 0) this.#held = data.slice(from);
    else this.#held.copyWithin(0, from, data.length);
    this.#length = rest;
  }
}

/** The operations of the servers: the same for all forms. */
import {
  encodeFrame,
  encodeU32,
  type Frame,
  FrameReader,
  MAX_ROUNDS,
  OPERATION,
  OUTCOME,
  ProtocolError,
  readU32,
} from './protocol.js';

const operations = new Set<number>(Object.values(OPERATION));
/** Reads requests. */
export function requestReader(): FrameReader {
  return new FrameReader((kind) => operations.has(kind));
}

/** @throws ProtocolError if the payload does not suit the operation */
export function answer({ kind, payload }: Frame, form: string): Uint8Array {
  switch (kind) {
    case OPERATION.ECHO:
      return encodeFrame(OUTCOME.OK, payload);
    case OPERATION.WORK: {
      const rounds = payload.length === 4 ? readU32(payload, 0) : Number.NaN;
      if (!(rounds <= MAX_ROUNDS)) throw new ProtocolError(`WORK takes a u32 from 0 to ${MAX_ROUNDS}`);
      return encodeFrame(OUTCOME.OK, encodeU32(checksum(rounds)));
    }
    default:
      if (payload.length > 0) throw new ProtocolError('STATUS takes no payload');
      return encodeFrame(OUTCOME.OK, Buffer.from(JSON.stringify({ form, pid: process.pid })));
  }
}
/** A frame that says what the client did wrong. */
export function refusal(error: ProtocolError): Uint8Array {
  return encodeFrame(OUTCOME.ERROR, Buffer.from(error.message));
}
/** WORK: xorshift32, `rounds` times. */
export function checksum(rounds: number): number {
  let word = 0x9e3779b9 | 0;
  for (let round = 0; round < rounds; round++) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
  }
  return word >>> 0;
}

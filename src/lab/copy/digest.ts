/** SHA-256 of an open file's first bytes, read at explicit positions, so that the file's own offset does not matter. */
import { createHash } from 'node:crypto';
import { read } from 'node:fs';
import { promisify } from 'node:util';

const readAt = promisify(read);
const PIECE_BYTES = 1 << 20;

/** @param length bytes to hash; the digest covers fewer if the file is shorter */
export async function sha256(fd: number, length: number, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const pieces = [Buffer.allocUnsafe(PIECE_BYTES), Buffer.allocUnsafe(PIECE_BYTES)] as const;
  let position = 0;
  const next = (piece: Buffer) => readAt(fd, piece, 0, Math.min(PIECE_BYTES, length - position), position);
  let pending = length > 0 ? next(pieces[0]) : undefined;
  for (let turn = 0; pending !== undefined; turn ^= 1) {
    const { bytesRead } = await pending;
    signal?.throwIfAborted();
    position += bytesRead;
    // The next piece is read while this one is hashed.
    pending = bytesRead > 0 && position < length ? next(pieces[(turn ^ 1) as 0 | 1]) : undefined;
    hash.update(pieces[turn as 0 | 1].subarray(0, bytesRead));
  }
  return hash.digest('hex');
}

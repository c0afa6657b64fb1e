/** The type of bytes for the user, and this machine's byte order. */

/**
 * A `Uint8Array` in memory that no other thread shares: `Uint8Array<ArrayBuffer>` since TypeScript 5.7, `Uint8Array` before, which did not
 * distinguish the two. Web APIs (`crypto.subtle`, `Blob`, `fetch`) accept it.
 */
export type Bytes = ReturnType<Uint8Array['slice']>;

/** A C struct has the machine's byte order. */
export const LITTLE_ENDIAN: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

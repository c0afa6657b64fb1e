/** How bytes that are handed out are typed, and in which order this machine has those of a number. */

/**
 * A `Uint8Array` in memory that is no other thread's: `Uint8Array<ArrayBuffer>` from TypeScript 5.7 on, `Uint8Array` before, which did
 * not tell the two apart. What Web APIs (`crypto.subtle`, `Blob`, `fetch`) take.
 */
export type Bytes = ReturnType<Uint8Array['slice']>;

/** The order of bytes in a C struct is the machine's. */
export const LITTLE_ENDIAN: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

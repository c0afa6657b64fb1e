/** How bytes that are handed out are typed. */

/**
 * A `Uint8Array` in memory that is no other thread's: `Uint8Array<ArrayBuffer>` from TypeScript 5.7 on, `Uint8Array` before, which did
 * not tell the two apart. What Web APIs (`crypto.subtle`, `Blob`, `fetch`) take.
 */
export type Bytes = ReturnType<Uint8Array['slice']>;

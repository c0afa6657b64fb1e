/** Blocks the thread for so many milliseconds: somebody else is in the middle of something, and nothing tells when it is done. */
export function pause(milliseconds: number): void {
  Atomics.wait(sleeper, 0, 0, milliseconds);
}
const sleeper = new Int32Array(new SharedArrayBuffer(4));

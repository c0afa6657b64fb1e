/**
 * Blocks the thread for so many milliseconds, while another process is in the middle of something and no event will say when it is done.
 */
export function pause(milliseconds: number): void {
  Atomics.wait(sleeper, 0, 0, milliseconds);
}
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Common to the two kinds of queue: a message for each chunk, and an empty one for the end. */
import { MESSAGE_HEADER, read, write } from '../../../system/index.js';
import { type Side, wanted } from '../transport.js';

/** From the file into messages. */
export function dispatch(side: Side, send: (message: Uint8Array) => void): number {
  const { plan, file } = side;
  const bytes = new Uint8Array(plan.chunk);
  let done = 0;
  side.begin();
  for (;;) {
    const length = wanted(plan, done);
    const count = length === 0 ? 0 : read(file, bytes, 0, length);
    send(count === bytes.length ? bytes : bytes.subarray(0, count));
    if (count === 0) return done;
    done += count;
    side.progress(done);
  }
}
/** From messages into the file, until an empty one. `receive` puts the next one into `room` and returns its length. */
export function collect(side: Side, room: Uint8Array, receive: () => number): number {
  let done = 0;
  side.begin();
  for (;;) {
    const count = receive();
    if (count === 0) return done;
    for (let written = 0; written < count; )
      written += write(side.file, room, MESSAGE_HEADER + written, count - written);
    done += count;
    side.progress(done);
  }
}

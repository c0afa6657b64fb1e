/** Through a pipe: SOURCE into the server, into the pipe, out of it into the client, into DESTINATION. Four copies. */
import { close, pipe2, read, write } from '../../../system/index.js';
import { type Side, type Transport, wanted } from '../transport.js';

export const pipe: Transport = {
  name: 'pipe',
  summary: 'an anonymous pipe that both inherit',
  chunk: 64 * 1024,
  prepare() {
    const [reader, writer] = pipe2();
    let open = true;
    const cleanUp = () => {
      if (!open) return;
      open = false;
      close(reader);
      close(writer);
    };
    return { server: [writer], client: [reader], started: cleanUp, cleanUp };
  },
  serve: (side) => feed(side, side.descriptors[0]!),
  receive: (side) => drain(side, side.descriptors[0]!),
};

/** From the file into a byte stream. The end of the stream marks the end of the file. */
export function feed(side: Side, writer: number): number {
  const { plan, file } = side;
  const bytes = new Uint8Array(plan.chunk);
  let done = 0;
  side.begin();
  for (;;) {
    const length = wanted(plan, done);
    const count = length === 0 ? 0 : read(file, bytes, 0, length);
    if (count === 0) break;
    for (let sent = 0; sent < count; ) sent += write(writer, bytes, sent, count - sent);
    done += count;
    side.progress(done);
  }
  close(writer);
  return done;
}
/** From a byte stream into the file, until the stream's end. */
export function drain(side: Side, reader: number): number {
  const bytes = new Uint8Array(side.plan.chunk);
  let done = 0;
  side.begin();
  for (;;) {
    const count = read(reader, bytes);
    if (count === 0) break;
    for (let written = 0; written < count; ) written += write(side.file, bytes, written, count - written);
    done += count;
    side.progress(done);
  }
  close(reader);
  return done;
}

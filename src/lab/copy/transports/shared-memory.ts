/** Through shared memory: SOURCE is read straight into it, DESTINATION written straight from it. Two copies. */
import { SharedMemory } from '../../../memory/index.js';
import { read, write } from '../../../system/index.js';
import { ChunkRing } from '../chunk-ring.js';
import { type Side, type Transport, wanted } from '../transport.js';

export const sharedMemory: Transport = {
  name: 'shared-memory',
  summary: 'a ring of chunks that both have mapped',
  chunk: 128 * 1024,
  prepare(chunk) {
    const memory = ChunkRing.create(chunk);
    const cleanUp = () => memory.close();
    return { server: [memory.fd], client: [memory.fd], started: cleanUp, cleanUp };
  },
  serve(side) {
    const ring = attach(side);
    const { plan, file } = side;
    let done = 0;
    side.begin();
    for (;;) {
      const length = wanted(plan, done);
      const offset = ring.room();
      const count = length === 0 ? 0 : read(file, ring.bytes, offset, length);
      ring.fill(count);
      if (count === 0) return done;
      done += count;
      side.progress(done);
    }
  },
  receive(side) {
    const ring = attach(side);
    let done = 0;
    side.begin();
    for (;;) {
      const offset = ring.next();
      const count = ring.length();
      if (count === 0) return done;
      for (let written = 0; written < count; )
        written += write(side.file, ring.bytes, offset + written, count - written);
      ring.release();
      done += count;
      side.progress(done);
    }
  },
};

function attach(side: Side): ChunkRing {
  return new ChunkRing(SharedMemory.fromFd(side.descriptors[0]!), side.plan.chunk);
}

/** The open file itself: the server passes its descriptor over a Unix socket, the client lets the kernel copy. No copy leaves the kernel. */
import { close, copyFileRange, recvmsg, SystemError, sendfile, sendmsg, socketpair } from '../../../system/index.js';
import { type Side, type Transport, wanted } from '../transport.js';

export const descriptor: Transport = {
  name: 'descriptor',
  summary: 'the open file, passed over a Unix socket; the kernel copies',
  chunk: 16 * 1024 * 1024,
  prepare() {
    const [server, client] = socketpair('stream');
    let open = true;
    const cleanUp = () => {
      if (!open) return;
      open = false;
      close(server);
      close(client);
    };
    return { server: [server], client: [client], started: cleanUp, cleanUp };
  },
  serve(side) {
    side.begin();
    const socket = side.descriptors[0]!;
    side.control(sendmsg(socket, Uint8Array.of(1), [side.file]));
    // The client's answer, or the end of the socket if it died: either way the work is over.
    const { length } = recvmsg(socket, new Uint8Array(1));
    side.control(length);
    close(socket);
    return 0;
  },
  receive(side) {
    const socket = side.descriptors[0]!;
    side.begin();
    const { length, descriptors } = recvmsg(socket, new Uint8Array(1));
    side.control(length);
    const source = descriptors[0];
    if (source === undefined) throw new Error('the server passed no descriptor');
    const done = copyWithin(side, source);
    close(source);
    side.control(sendmsg(socket, Uint8Array.of(1)));
    close(socket);
    return done;
  },
};

/** By copy_file_range, which lets a file system share blocks; where it refuses (old kernels between file systems, /proc), by sendfile. */
function copyWithin(side: Side, source: number): number {
  let copy = copyFileRange;
  let done = 0;
  for (;;) {
    const length = wanted(side.plan, done);
    if (length === 0) return done;
    let count: number;
    try {
      count = copy(source, side.file, length);
    } catch (error) {
      const refused = error instanceof SystemError && ['EXDEV', 'EINVAL', 'ENOSYS', 'EOPNOTSUPP'].includes(error.code);
      if (copy !== copyFileRange || !refused) throw error;
      copy = (from, out, most) => sendfile(out, from, most);
      continue;
    }
    // copy_file_range copies nothing from files whose size the kernel does not know; sendfile reads them.
    if (count === 0 && copy === copyFileRange && side.plan.length === null && done === 0) {
      copy = (from, out, most) => sendfile(out, from, most);
      continue;
    }
    if (count === 0) return done;
    done += count;
    side.progress(done);
  }
}

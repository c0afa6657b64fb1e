/**
 * Whether a descriptor blocks is a property of the open file description, which all processes share that inherited it. So an
 * end that this process begins to use must get a description of its own first, or the child that was given it before would
 * see reads and writes fail with EAGAIN.
 */
import { dup3, fcntl } from '../system/file.js';
import { constants, native } from '../system/native.js';
import { pollNow } from '../system/poll.js';

const { F_GETFL, F_SETFL, O_CLOEXEC, O_NONBLOCK } = constants as Record<string, number>;

/**
 * Makes a pipe's descriptor non-blocking, on an open file description of its own. Tells the poll bits of the description that
 * it had before, since whether a writer has ever come is known to that one only.
 */
export function ownDescription(fd: number): number {
  const flags = fcntl(fd, F_GETFL!);
  if ((flags & O_NONBLOCK!) !== 0) return 0;
  const spare = native.open(`/proc/self/fd/${fd}`, flags | O_NONBLOCK! | O_CLOEXEC!, 0);
  if (spare < 0) {
    // No /proc, no permission any more (after setuid), or a FIFO that nobody reads: better shared than blocking.
    fcntl(fd, F_SETFL!, flags | O_NONBLOCK!);
    return 0;
  }
  try {
    const events = pollNow(fd, 0);
    dup3(spare, fd);
    return events;
  } finally {
    native.close(spare);
  }
}

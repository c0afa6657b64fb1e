/**
 * Whether a descriptor blocks is a property of its open file description, which all processes that inherited it share. So an end that this
 * process begins to use must first get a description of its own. Otherwise a child that was given it before would see reads and writes fail
 * with EAGAIN.
 */
import { dup3, fcntl } from '../system/file.js';
import { constants, native } from '../system/native.js';
import { pollNow } from '../system/poll.js';

const { F_GETFL, F_SETFL, O_CLOEXEC, O_NONBLOCK } = constants as Record<string, number>;

/**
 * Makes a pipe's descriptor non-blocking, on an open file description of its own. Returns the poll bits of the previous description,
 * because only that one knows whether a writer has ever come.
 */
export function ownDescription(fd: number): number {
  const flags = fcntl(fd, F_GETFL!);
  if ((flags & O_NONBLOCK!) !== 0) return 0;
  const spare = native.open(`/proc/self/fd/${fd}`, flags | O_NONBLOCK! | O_CLOEXEC!, 0);
  if (spare < 0) {
    // No /proc, no permission any more (after setuid), or a FIFO without a reader: better shared than blocking.
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

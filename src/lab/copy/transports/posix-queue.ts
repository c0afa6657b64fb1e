/** Through a POSIX message queue: each chunk a message, in and out of the kernel's copy of it. Four copies. */
import { randomUUID } from 'node:crypto';
import {
  close,
  constants,
  MESSAGE_HEADER,
  mqGetattr,
  mqOpen,
  mqReceiveInto,
  mqSend,
  mqUnlink,
} from '../../../system/index.js';
import { kernelLimit } from '../../../system/limits.js';
import type { Transport } from '../transport.js';
import { collect, dispatch } from './messages.js';

export const posixQueue: Transport = {
  name: 'posix-queue',
  summary: 'a POSIX message queue that both inherit',
  chunk: 8192,
  prepare(chunk) {
    const messageSize = Math.min(chunk, kernelLimit('fs.mqueue.msgsize_max') ?? 8192);
    const maxMessages = Math.min(10, kernelLimit('fs.mqueue.msg_max') ?? 10);
    const name = `vecino-copy-${randomUUID()}`;
    const flags = constants['O_CREAT']! | constants['O_EXCL']! | constants['O_RDWR']!;
    const queue = mqOpen(name, flags, 0o600, { maxMessages, messageSize });
    mqUnlink(name); // both inherit the descriptor; from here on the queue disappears with its last user
    let open = true;
    const cleanUp = () => {
      if (!open) return;
      open = false;
      close(queue);
    };
    return { server: [queue], client: [queue], chunk: messageSize, started: cleanUp, cleanUp };
  },
  serve(side) {
    const queue = side.descriptors[0]!;
    return dispatch(side, (message) => mqSend(queue, message));
  },
  receive(side) {
    const queue = side.descriptors[0]!;
    const room = new Uint8Array(MESSAGE_HEADER + mqGetattr(queue).messageSize);
    return collect(side, room, () => mqReceiveInto(queue, room));
  },
};

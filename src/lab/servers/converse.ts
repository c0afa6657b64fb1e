/** Serves one client in a thread of its own: read, answer, write, each blocking. */
import type { Socket } from '../../socket/index.js';
import { SystemError } from '../../system/index.js';
import { answer, refusal, requestReader } from './answer.js';
import { ProtocolError } from './protocol.js';

/** Returns when the client has left or was refused; the socket is closed. */
export function converse(socket: Socket, form: string): void {
  const reader = requestReader();
  try {
    for (let message = socket.receiveSync(); message !== null; message = socket.receiveSync()) {
      for (const frame of reader.push(message.bytes)) socket.sendSync(answer(frame, form));
    }
  } catch (error) {
    if (error instanceof ProtocolError) socket.trySend(refusal(error));
    else if (!(error instanceof SystemError)) throw error; // others are a reset, or a client that has gone
  } finally {
    socket.close();
  }
}

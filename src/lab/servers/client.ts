/** A client of the servers: requests, and their answers in order. */
import type { Socket } from '../../socket/index.js';
import { PeerDiedError, type WaitOptions } from '../../system/index.js';
import { type Address, connectTo } from './address.js';
import { encodeFrame, type Frame, FrameReader, OUTCOME } from './protocol.js';

const outcomes = new Set<number>(Object.values(OUTCOME));

export class Client implements Disposable {
  readonly socket: Socket;
  readonly #reader = new FrameReader((kind) => outcomes.has(kind));
  readonly #answers: Frame[] = [];

  static async connect(address: Address, options?: WaitOptions): Promise<Client> {
    return new Client(await connectTo(address, options));
  }
  constructor(socket: Socket) {
    this.socket = socket;
  }
  /** Sends a request and waits for an answer. Wait for it before you call this again. */
  async request(operation: number, payload: Uint8Array): Promise<Frame> {
    // Sends and receives at the same time: a large answer begins before a large request has ended.
    const sent = this.socket.send(encodeFrame(operation, payload));
    const [frame] = await Promise.all([this.answer(), sent]);
    return frame;
  }
  /** The next answer. @throws PeerDiedError if the server closed before it was complete */
  async answer(): Promise<Frame> {
    for (;;) {
      const next = this.#answers.shift();
      if (next !== undefined) return next;
      const message = await this.socket.receive();
      if (message === null) throw new PeerDiedError('the server closed the connection before its answer was complete');
      for (const { kind, payload } of this.#reader.push(message.bytes)) {
        this.#answers.push({ kind, payload: payload.slice() });
      }
    }
  }
  close(): void {
    this.socket.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

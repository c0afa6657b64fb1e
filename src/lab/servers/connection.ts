/** A connection of a non-blocking server: the progress of its requests and answers. */
import type { Socket } from '../../socket/index.js';
import { SystemError } from '../../system/index.js';
import { answer, refusal, requestReader } from './answer.js';
import { ProtocolError } from './protocol.js';

/** What must happen before it can go on. */
export type Wants = 'read' | 'write' | 'nothing';

/** Pieces read in a row before the other clients have their turn. */
const IN_A_ROW = 8;

export class Connection {
  readonly socket: Socket;
  /** The last result of {@link advance}. */
  wants: Wants = 'read';
  readonly #form: string;
  readonly #reader = requestReader();
  /** Answers that the kernel has not taken; of the first one from `#sent` on. While there are any, nothing is read. */
  #answers: Uint8Array[] = [];
  #sent = 0;
  #ending = false;

  constructor(socket: Socket, form: string) {
    this.socket = socket;
    this.#form = form;
  }
  /** Does what is possible now, without waiting. With `nothing` it is closed. */
  advance(): Wants {
    try {
      this.wants = this.#advance();
    } catch (error) {
      // A reset, or closed while an answer was being sent.
      if (!(error instanceof SystemError)) throw error;
      this.wants = 'nothing';
    }
    if (this.wants === 'nothing') this.socket.close();
    return this.wants;
  }
  close(): void {
    this.wants = 'nothing';
    this.socket.close();
  }

  #advance(): Wants {
    for (let turn = 0; turn < IN_A_ROW; turn++) {
      if (!this.#flush()) return 'write';
      if (this.#ending) return 'nothing';
      const message = this.socket.tryReceive();
      if (message === undefined) return 'read';
      // Its direction has ended: all complete requests were answered, and an incomplete one has no answer.
      if (message === null) return 'nothing';
      this.#take(message.bytes);
    }
    return this.#flush() ? (this.#ending ? 'nothing' : 'read') : 'write';
  }
  #take(bytes: Uint8Array): void {
    try {
      for (const frame of this.#reader.push(bytes)) this.#answers.push(answer(frame, this.#form));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#answers.push(refusal(error));
      this.#ending = true;
    }
  }
  /** Whether everything was sent. */
  #flush(): boolean {
    const answers = this.#answers;
    if (answers.length === 0) return true;
    for (let index = 0; index < answers.length; index++) {
      const bytes = answers[index]!;
      this.#sent += this.socket.trySend(this.#sent === 0 ? bytes : bytes.subarray(this.#sent)) as number;
      if (this.#sent < bytes.length) {
        this.#answers = answers.slice(index);
        return false;
      }
      this.#sent = 0;
    }
    this.#answers = [];
    return true;
  }
}

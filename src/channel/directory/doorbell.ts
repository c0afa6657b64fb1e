/**
 * Wakes a sleeping participant: one datagram socket for each seat that waits, `RUNTIME/NAME/bell-SEAT`.
 *
 * A bell is one bit of state, not a message: if it has rung already (its queue is full), it need not ring again, and a woken participant
 * checks the memory, not the bell. The bell of a dead owner refuses at once. It rings only for an announced sleep, so there is one system
 * call per sleep and none per message.
 *
 * If the kernel has no memory or descriptor for the datagram, all sleepers are woken in another way, as if a participant had left
 * (exit-watcher.ts). That event needs none, because the kernel keeps one in reserve. If that fails too, {@link Doorbell.ring} says so, and
 * the sleeper must still count as asleep, to be woken later.
 */
import { EAGAIN, ECONNREFUSED, EINTR, EMFILE, ENOENT } from '../../system/errno.js';
import { close } from '../../system/file.js';
import { constants, native } from '../../system/native.js';
import { unlink } from '../../system/path.js';
import { READABLE, Readiness } from '../../system/readiness.js';
import { bind, socket } from '../../system/socket.js';
import { unixAddress } from '../../system/socket-address.js';
import { commitTime } from '../../system/spin.js';
import { SEAT_WAKE_TIME } from './control-file.js';
import type { Participant } from './participant.js';

const { read } = native;
const NOT_RUNG = EMFILE;
const FLAGS = constants['MSG_DONTWAIT']! | constants['MSG_NOSIGNAL']!;
const stroke = new Uint8Array(1);

/** How many datagrams are read at a time: more than arrive between two reads. */
const MAX_RINGS_AT_A_TIME = 16;
/** How many are left in it. */
const MAX_UNREAD_RINGS = 8;

export class Doorbell {
  readonly #participant: Participant;
  readonly #fd: number;
  readonly #readiness: Readiness;
  readonly #addresses: Uint8Array[] = [];
  readonly #stroke = new Uint8Array(1);
  #missed = 0;
  #closed = false;

  /** The bell of the participant's own seat. */
  constructor(participant: Participant) {
    this.#participant = participant;
    this.#fd = socket('unix', 'datagram', constants['SOCK_NONBLOCK']!);
    try {
      const path = participant.path(name(participant.seat));
      try {
        unlink(path); // of a dead owner of this seat; no other process can have it
      } catch {}
      bind(this.#fd, unixAddress('path', path), { path });
      participant.share(name(participant.seat));
    } catch (error) {
      close(this.#fd);
      throw error;
    }
    this.#readiness = new Readiness(this.#fd, `bell of channel '${participant.name}'`);
  }
  /**
   * Wakes the owner of a seat, for something that was committed just now. False: the seat has no owner. Undefined: the kernel has no memory
   * or descriptors now; call it again. Never throws.
   */
  ring(seat: number): boolean | undefined {
    this.#participant.words[this.#participant.wordOf(seat) + SEAT_WAKE_TIME] = commitTime();
    const address = (this.#addresses[seat] ??= unixAddress('path', this.#participant.path(name(seat))));
    let result = send(this.#fd, address);
    if (result === EAGAIN) result = ringAnew(address);
    if (result >= 0 || result === EAGAIN) return true;
    if (result === ECONNREFUSED) return false;
    // A program that tidies up may have removed the socket's name under its owner.
    if (result === ENOENT && !this.#participant.isTaken(seat)) return false;
    return this.#participant.knock() ? true : undefined;
  }
  /**
   * It rang for a sleep that was called off. Nobody reads this datagram, and it uses some of the sender's buffer: drain it now and then.
   */
  missed(): void {
    if (++this.#missed < MAX_UNREAD_RINGS) return;
    this.#missed = 0;
    this.quiet();
  }
  /** Reads the pending datagrams, so that the bell is quiet until it rings again. */
  quiet(): void {
    for (let i = 0; i < MAX_RINGS_AT_A_TIME && read(this.#fd, this.#stroke, 0, 1) > 0; i++);
  }
  /** Calls `told` once, from the event loop, when the bell rings. */
  notify(told: Told): void {
    this.#readiness.notify(told);
  }
  cancel(told: Told): void {
    this.#readiness.cancel(told);
  }
  /** When the message that it last rang for was committed; self-reported by the sender. */
  get wakeTime(): number {
    return this.#participant.words[this.#participant.wordOf(this.#participant.seat) + SEAT_WAKE_TIME]!;
  }
  get fd(): number {
    return this.#fd;
  }
  /** Ends waits with ClosedError. Call it before the participant is closed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#readiness.close();
    try {
      unlink(this.#participant.path(name(this.#participant.seat)));
    } catch {}
    native.close(this.#fd);
  }
}
/**
 * The send returned EAGAIN: either that bell has enough datagrams, or unread ones of all bells use up the buffer of our socket, which takes
 * a few hundred. A new socket has a buffer of its own.
 */
function ringAnew(address: Uint8Array): number {
  let fd: number;
  try {
    fd = socket('unix', 'datagram', constants['SOCK_NONBLOCK']!);
  } catch {
    return NOT_RUNG; // no descriptor left, so the cause is unknown
  }
  try {
    return send(fd, address);
  } finally {
    close(fd);
  }
}
function send(fd: number, address: Uint8Array): number {
  let result: number;
  do result = native.sendto(fd, stroke, FLAGS, address);
  while (result === EINTR);
  return result;
}
/** Gets the event when the bell rings. */
export interface Told {
  readonly events: number;
  settle(error?: unknown): void;
}
/** The events of a {@link Told}. */
export const RUNG: number = READABLE;

function name(seat: number): string {
  return `bell-${seat}`;
}

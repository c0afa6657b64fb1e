/**
 * Waking somebody who sleeps: one datagram socket for each seat that waits, `RUNTIME/NAME/bell-SEAT`.
 *
 * A bell is one bit of state and no message: one that is rung already (its queue is full) need not be rung again, and whoever is
 * woken looks at the memory, not at the bell. A bell whose owner is dead refuses, at once. It is rung only for who has announced that he
 * sleeps, so a system call is made for each sleep and none for each message.
 *
 * If the kernel has no memory or no descriptor for the stroke, all who sleep are woken by the other way there is, as if somebody had left
 * (exit-watcher.ts): that event needs none, as the kernel keeps one in reserve for those that it drops. Where that fails too, {@link
 * Doorbell.ring} says so, and the sleeper must still count as asleep, to be rung again.
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

/** How many strokes are taken at a time: more than come while nobody looks. */
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

  /** The bell of `place`'s own seat. */
  constructor(participant: Participant) {
    this.#participant = participant;
    this.#fd = socket('unix', 'datagram', constants['SOCK_NONBLOCK']!);
    try {
      const path = participant.path(name(participant.seat));
      try {
        unlink(path); // of a dead one who had this seat; nobody else can have it
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
   * Wakes the owner of a seat, for something that was committed just now. False: nobody is there. Undefined: not now, for want of memory or
   * descriptors; ring again. Never throws.
   */
  ring(seat: number): boolean | undefined {
    this.#participant.words[this.#participant.wordOf(seat) + SEAT_WAKE_TIME] = commitTime();
    const address = (this.#addresses[seat] ??= unixAddress('path', this.#participant.path(name(seat))));
    let result = send(this.#fd, address);
    if (result === EAGAIN) result = ringAnew(address);
    if (result >= 0 || result === EAGAIN) return true;
    if (result === ECONNREFUSED || result === ENOENT) return false;
    return this.#participant.knock() ? true : undefined;
  }
  /** It was rung for a sleep that was called off. Nobody takes that stroke, and it holds some of the ringer's buffer: now and then we do. */
  missed(): void {
    if (++this.#missed < MAX_UNREAD_RINGS) return;
    this.#missed = 0;
    this.quiet();
  }
  /** Takes the strokes that are there, so that the bell is quiet until it is rung again. */
  quiet(): void {
    for (let i = 0; i < MAX_RINGS_AT_A_TIME && read(this.#fd, this.#stroke, 0, 1) > 0; i++);
  }
  /** Calls `told` once, from the event loop, when it is rung. */
  notify(told: Told): void {
    this.#readiness.notify(told);
  }
  cancel(told: Told): void {
    this.#readiness.cancel(told);
  }
  /** When what it was last rung for was committed, as the other says. */
  get wakeTime(): number {
    return this.#participant.words[this.#participant.wordOf(this.#participant.seat) + SEAT_WAKE_TIME]!;
  }
  get fd(): number {
    return this.#fd;
  }
  /** Ends waits with ClosedError. Before the place is closed. */
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
 * A stroke that did not go: that bell has enough of them, or all the bells that we have rung and nobody has quieted use our socket's
 * whole buffer up, which is a few hundred strokes. A new socket has a buffer of its own.
 */
function ringAnew(address: Uint8Array): number {
  let fd: number;
  try {
    fd = socket('unix', 'datagram', constants['SOCK_NONBLOCK']!);
  } catch {
    return NOT_RUNG; // no descriptor left, so it is not known which of both it is
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
/** Who is told that the bell was rung. */
export interface Told {
  readonly events: number;
  settle(error?: unknown): void;
}
/** The events of a {@link Told}. */
export const RUNG: number = READABLE;

function name(seat: number): string {
  return `bell-${seat}`;
}

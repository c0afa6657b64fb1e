/**
 * Noticing that somebody has died, while asleep: whoever dies closes the control file, and inotify(7) tells everybody who watches it.
 *
 * The event comes an instant before the kernel gives the dead one's lock back, which is the proof of his death. So after an event we
 * look at once, and again a few times, later and later. Then there is silence until the next.
 *
 * Without an inotify instance (a user may have 128) whoever waits looks twice a second.
 */
import { IpcError } from '../../system/errors.js';
import { close } from '../../system/file.js';
import { hold, letGo, type OwnedDescriptor } from '../../system/file-lock.js';
import { inotifyAddWatch, inotifyInit } from '../../system/inotify.js';
import { constants, native } from '../../system/native.js';
import type { Place } from '../place/place.js';

const { read } = native;
/** Milliseconds after an event. */
const LOOKS = [0, 1, 10, 100, 1000];
const WITHOUT = 500;

export class Deaths {
  /** -1: there is none, and time alone tells when to look. */
  readonly fd: number;
  readonly #held: OwnedDescriptor | undefined;
  readonly #events = new Uint8Array(4096);
  /** When something was closed, in milliseconds; how many looks were due since; and when the next one is. */
  #event: number = performance.now();
  #looks = 0;
  #next: number = this.#event;

  constructor(place: Place) {
    this.fd = watch(place);
    if (this.fd >= 0) this.#held = hold(this.fd);
  }
  /** Whether it is time to look who is dead. */
  due(): boolean {
    const now = performance.now();
    if (this.fd >= 0 && read(this.fd, this.#events, 0, this.#events.length) > 0) {
      while (read(this.fd, this.#events, 0, this.#events.length) > 0);
      this.#event = now;
      this.#looks = 0;
      this.#next = now;
    }
    if (now < this.#next) return false;
    while (this.#next <= now) this.#plan(now);
    return true;
  }
  /** Milliseconds until the next look, `Infinity` for none. */
  get remaining(): number {
    return this.#next === Number.POSITIVE_INFINITY ? this.#next : Math.max(0, this.#next - performance.now());
  }
  #plan(now: number): void {
    if (this.fd < 0) this.#next = now + WITHOUT;
    else if (++this.#looks < LOOKS.length) this.#next = this.#event + LOOKS[this.#looks]!;
    else this.#next = Number.POSITIVE_INFINITY;
  }
  close(): void {
    if (this.#held !== undefined) letGo(this.#held);
  }
}
function watch(place: Place): number {
  let fd = -1;
  try {
    fd = inotifyInit(constants['IN_NONBLOCK']!);
    inotifyAddWatch(fd, place.path('control'), constants['IN_CLOSE_WRITE']!);
    return fd;
  } catch (error) {
    if (fd >= 0) close(fd);
    if (error instanceof IpcError) return -1;
    throw error;
  }
}

/**
 * Noticing, while asleep, that somebody has left a channel: whoever closes it or dies closes the control file, at the latest when the
 * kernel does it for him, and inotify(7) tells everybody who watches that file. What he has written to shared memory is there by then.
 *
 * All channels of a thread share one inotify instance (system/file-watch.ts), and one watch for each control file. Without one
 * (`EMFILE`) whoever waits looks twice a second, and asks for one again each time.
 *
 * The same watch tells that the control file was removed by somebody who takes no part (removal-watcher.ts).
 *
 * Nothing is done by those who send, and nobody is woken while nobody leaves.
 */

import type { Deadline } from '../../system/deadline.js';
import { EINTR } from '../../system/errno.js';
import { check } from '../../system/errors.js';
import { FileWatch, type FileWatcher } from '../../system/file-watch.js';
import { constants, native } from '../../system/native.js';
import type { Participant } from './participant.js';

const POLLIN = constants['POLLIN']!;
/** IN_ATTRIB: its name was removed, say. */
const EVENTS = constants['IN_CLOSE_WRITE']! | constants['IN_ATTRIB']!;
/** Milliseconds between two looks without an inotify instance. */
const POLL_MS = 500;

/** What one object sees of it. Make it before the last look that precedes a sleep. */
export class ExitWatcher implements FileWatcher {
  readonly #participant: Participant;
  readonly #told: () => void;
  /** When a watch was last asked for. */
  #asked = 0;
  #watch: FileWatch | undefined;
  #happened = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param told called in the event loop after somebody has closed the control file, whether or not anybody waits; it does not throw */
  constructor(participant: Participant, told: () => void) {
    this.#participant = participant;
    this.#told = told;
    this.#begin();
  }
  /** Whether the kernel tells. Otherwise look after {@link pollInterval}. */
  get watched(): boolean {
    return this.#watch !== undefined;
  }
  /** Milliseconds that one may sleep without having looked. */
  get pollInterval(): number {
    return this.#watch === undefined ? POLL_MS : Number.POSITIVE_INFINITY;
  }
  /** What {@link happened} would say, as far as is known without asking the kernel. */
  get pending(): boolean {
    return this.#happened;
  }
  /** Whether somebody has closed the control file since this was asked last. One system call. */
  happened(): boolean {
    this.#watch?.look();
    const happened = this.#happened;
    this.#happened = false;
    return happened;
  }
  /** Somebody is about to look, which answers all that has happened. Where there is no watch it is time to ask for one again. */
  looking(): void {
    this.#happened = false;
    if (this.#watch === undefined && performance.now() >= this.#asked + POLL_MS) this.#begin();
  }
  /** Somebody is about to sleep in the event loop: without a watch, he is told when it is time to look. */
  sleeps(): void {
    if (this.#watch !== undefined || this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#told();
    }, POLL_MS).unref();
  }
  /**
   * Blocks the thread until `fd` is readable, the control file was closed ({@link pending}), or it is time to look, after `most`
   * milliseconds at the latest.
   */
  blockSync(fd: number, deadline: Deadline, most: number = Number.POSITIVE_INFINITY): void {
    const entries = new Int32Array([fd, 0, this.#watch?.fd ?? -1, 0]); // two struct pollfd
    const bits = new Int16Array(entries.buffer);
    bits[2] = POLLIN;
    bits[6] = POLLIN;
    const end = performance.now() + Math.min(most, this.pollInterval);
    while (!this.#happened) {
      const limit = deadline.block();
      const left = Math.min(Math.max(0, end - performance.now()), limit < 0 ? Number.POSITIVE_INFINITY : limit);
      const result = native.poll(entries, left === Number.POSITIVE_INFINITY ? -1 : left);
      if (result < 0 && result !== EINTR) check(result, 'poll', { path: this.#participant.folder });
      if (result > 0 && bits[3] !== 0) return;
      if (result > 0) this.#watch?.look();
      if (performance.now() >= end) return;
    }
  }
  /** Before the place is closed. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#watch?.close();
    this.#watch = undefined;
  }

  /** @internal */
  note(): void {
    this.#happened = true;
  }
  /** @internal */
  tell(): void {
    if (!this.#closed) this.#told();
  }
  #begin(): void {
    if (this.#closed) return;
    this.#asked = performance.now();
    this.#watch = FileWatch.open(this.#participant.path('control'), EVENTS, this);
  }
}

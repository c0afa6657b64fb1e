/**
 * Notices, while asleep, that a participant has left a channel. A process that closes it or dies closes the control file, at the latest
 * when the kernel does it, and inotify(7) notifies every process that watches that file. By then everything that it has written to shared
 * memory is visible.
 *
 * All channels of a thread share one inotify instance (system/file-watch.ts), with one watch per control file. Without an instance
 * (`EMFILE`) a waiter polls twice a second, and asks for one again each time.
 *
 * The same watch reports that the control file was removed from outside (removal-watcher.ts).
 *
 * Senders do nothing for it, and nothing wakes up while no participant leaves.
 */

import type { Deadline } from '../../system/deadline.js';
import { EINTR } from '../../system/errno.js';
import { check } from '../../system/errors.js';
import { FileWatch, type FileWatcher } from '../../system/file-watch.js';
import { constants, native } from '../../system/native.js';
import type { Participant } from './participant.js';

const POLLIN = constants['POLLIN']!;
/** IN_ATTRIB: its name was removed, for instance. */
const EVENTS = constants['IN_CLOSE_WRITE']! | constants['IN_ATTRIB']!;
/** Milliseconds between two polls without an inotify instance. */
const POLL_MS = 500;

/** One object's view of it. Create it before the last check that precedes a sleep. */
export class ExitWatcher implements FileWatcher {
  readonly #participant: Participant;
  readonly #told: () => void;
  /** When a watch was last requested. */
  #asked = 0;
  #watch: FileWatch | undefined;
  #happened = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param told called in the event loop after a process has closed the control file, even without a waiter; it does not throw */
  constructor(participant: Participant, told: () => void) {
    this.#participant = participant;
    this.#told = told;
    this.#begin();
  }
  /** Whether the kernel sends events. Otherwise poll after {@link pollInterval}. */
  get watched(): boolean {
    return this.#watch !== undefined;
  }
  /** Milliseconds that a sleep may last without a poll. */
  get pollInterval(): number {
    return this.#watch === undefined ? POLL_MS : Number.POSITIVE_INFINITY;
  }
  /** The result of {@link happened}, as far as it is known without asking the kernel. */
  get pending(): boolean {
    return this.#happened;
  }
  /** Whether a process has closed the control file since the last call. One system call. */
  happened(): boolean {
    this.#watch?.look();
    const happened = this.#happened;
    this.#happened = false;
    return happened;
  }
  /** The caller is about to check, which covers all earlier events. Without a watch it is time to request one again. */
  looking(): void {
    this.#happened = false;
    if (this.#watch === undefined && performance.now() >= this.#asked + POLL_MS) this.#begin();
  }
  /** The caller is about to sleep in the event loop: without a watch, it is notified when it is time to poll. */
  sleeps(): void {
    if (this.#watch !== undefined || this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#told();
    }, POLL_MS).unref();
  }
  /**
   * Blocks the thread until `fd` is readable, the control file was closed ({@link pending}), or it is time to poll, after `most`
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
  /** Call it before the participant is closed. Idempotent. */
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

/**
 * Noticing, while asleep, that somebody has left a channel: whoever closes it or dies closes the control file, at the latest when the
 * kernel does it for him, and inotify(7) tells everybody who watches that file. What he has written to shared memory is there by then.
 *
 * All channels of a thread share one inotify instance, because a user may have 128 of them, and one watch for each control file. It is
 * there while somebody watches. Without one (`EMFILE`) whoever waits looks twice a second, and asks for one again each time.
 *
 * The same watch tells that the control file was removed by somebody who takes no part (loss.ts).
 *
 * Nothing is done by those who send, and nobody is woken while nobody leaves.
 */

import { LITTLE_ENDIAN } from '../../memory/layout-memory.js';
import type { Deadline } from '../../system/deadline.js';
import { EINTR } from '../../system/errno.js';
import { check, IpcError } from '../../system/errors.js';
import { inotifyAddWatch, inotifyInit, inotifyRmWatch } from '../../system/inotify.js';
import { constants, native } from '../../system/native.js';
import { READABLE, Readiness, type Waiter } from '../../system/readiness.js';
import type { Place } from './place.js';

const { read } = native;
const POLLIN = constants['POLLIN']!;
/** IN_ATTRIB: its name was removed, say. */
const EVENTS = constants['IN_CLOSE_WRITE']! | constants['IN_ATTRIB']!;
/** struct inotify_event: wd, mask, cookie, len, name. */
const HEADER = 16;
const LENGTH = 12;
/** Of an event that stands for some that were dropped. */
const OVERFLOW = -1;
/** Milliseconds between two looks without an inotify instance. */
const WITHOUT = 500;
const events = new Uint8Array(4096);
const view = new DataView(events.buffer);

/** What one object sees of it. Make it before the last look that precedes a sleep. */
export class Closings {
  readonly #place: Place;
  readonly #told: () => void;
  /** When a watch was last asked for. */
  #asked = 0;
  #watch: { readonly instance: Instance; readonly descriptor: number } | undefined;
  #happened = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param told called in the event loop after somebody has closed the control file, whether or not anybody waits; it does not throw */
  constructor(place: Place, told: () => void) {
    this.#place = place;
    this.#told = told;
    this.#begin();
  }
  /** Whether the kernel tells. Otherwise look after {@link patience}. */
  get watched(): boolean {
    return this.#watch !== undefined;
  }
  /** Milliseconds that one may sleep without having looked. */
  get patience(): number {
    return this.#watch === undefined ? WITHOUT : Number.POSITIVE_INFINITY;
  }
  /** What {@link happened} would say, as far as is known without asking the kernel. */
  get pending(): boolean {
    return this.#happened;
  }
  /** Whether somebody has closed the control file since this was asked last. One system call. */
  happened(): boolean {
    this.#watch?.instance.look();
    const happened = this.#happened;
    this.#happened = false;
    return happened;
  }
  /** Somebody is about to look, which answers all that has happened. Where there is no watch it is time to ask for one again. */
  looking(): void {
    this.#happened = false;
    if (this.#watch === undefined && performance.now() >= this.#asked + WITHOUT) this.#begin();
  }
  /** Somebody is about to sleep in the event loop: without a watch, he is told when it is time to look. */
  sleeps(): void {
    if (this.#watch !== undefined || this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#told();
    }, WITHOUT).unref();
  }
  /**
   * Blocks the thread until `fd` is readable, the control file was closed ({@link pending}), or it is time to look, after `most`
   * milliseconds at the latest.
   */
  blockSync(fd: number, deadline: Deadline, most: number = Number.POSITIVE_INFINITY): void {
    const entries = new Int32Array([fd, 0, this.#watch?.instance.fd ?? -1, 0]); // two struct pollfd
    const bits = new Int16Array(entries.buffer);
    bits[2] = POLLIN;
    bits[6] = POLLIN;
    const end = performance.now() + Math.min(most, this.patience);
    while (!this.#happened) {
      const limit = deadline.block();
      const left = Math.min(Math.max(0, end - performance.now()), limit < 0 ? Number.POSITIVE_INFINITY : limit);
      const result = native.poll(entries, left === Number.POSITIVE_INFINITY ? -1 : left);
      if (result < 0 && result !== EINTR) check(result, 'poll', { path: this.#place.folder });
      if (result > 0 && bits[3] !== 0) return;
      if (result > 0) this.#watch?.instance.look();
      if (performance.now() >= end) return;
    }
  }
  /** Before the place is closed. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#watch?.instance.leave(this, this.#watch.descriptor);
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
    const instance = Instance.get();
    const descriptor = instance?.join(this, this.#place.path('control'));
    if (instance !== undefined && descriptor !== undefined) this.#watch = { instance, descriptor };
  }
}

/** The inotify instance of this thread. */
class Instance implements Waiter {
  static #current: Instance | undefined;
  /** Undefined: the kernel refuses one. */
  static get(): Instance | undefined {
    try {
      return (Instance.#current ??= new Instance());
    } catch (error) {
      if (error instanceof IpcError) return undefined;
      throw error;
    }
  }

  readonly events: number = READABLE;
  readonly fd: number;
  readonly #readiness: Readiness;
  readonly #watchers = new Map<number, Set<Closings>>();
  /** Those who have to be told in the event loop. */
  readonly #untold = new Set<Closings>();
  #closed = false;

  constructor() {
    this.fd = inotifyInit(constants['IN_NONBLOCK']!);
    this.#readiness = new Readiness(this.fd, 'the watch for those who leave');
    try {
      this.#readiness.notify(this);
    } catch (error) {
      this.#close();
      throw error;
    }
  }
  /** Undefined: the kernel refuses one. */
  join(closings: Closings, path: string): number | undefined {
    try {
      const descriptor = inotifyAddWatch(this.fd, path, EVENTS); // the same for the same file
      const watchers = this.#watchers.get(descriptor);
      if (watchers === undefined) this.#watchers.set(descriptor, new Set([closings]));
      else watchers.add(closings);
      return descriptor;
    } catch (error) {
      if (this.#watchers.size === 0) this.#close();
      if (error instanceof IpcError) return undefined;
      throw error;
    }
  }
  leave(closings: Closings, descriptor: number): void {
    this.#untold.delete(closings);
    const watchers = this.#watchers.get(descriptor)!;
    watchers.delete(closings);
    if (watchers.size > 0) return;
    this.#watchers.delete(descriptor);
    // Closing the instance ends its watches, and is a hundred times faster if none was ended just before.
    if (this.#watchers.size === 0) this.#close();
    else inotifyRmWatch(this.fd, descriptor);
  }
  /** Takes the events that are there, and lets those know whom they concern; they are told in the next turn of the event loop. */
  look(): void {
    if (this.#take()) setImmediate(() => this.#tell());
  }
  /** @internal There are events. */
  settle(error?: unknown): void {
    if (error !== undefined) return; // it is being closed
    this.#take();
    this.#tell();
    if (!this.#closed) this.#readiness.notify(this);
  }
  /** True: somebody has to be told who had not to be before. */
  #take(): boolean {
    const before = this.#untold.size;
    for (let length = 0; (length = read(this.fd, events, 0, events.length)) > 0; ) {
      for (let at = 0; at + HEADER <= length; at += HEADER + view.getUint32(at + LENGTH, LITTLE_ENDIAN)) {
        const descriptor = view.getInt32(at, LITTLE_ENDIAN);
        if (descriptor === OVERFLOW) for (const watchers of this.#watchers.values()) this.#note(watchers);
        else this.#note(this.#watchers.get(descriptor)); // undefined: those have left
      }
    }
    return before === 0 && this.#untold.size > 0;
  }
  #note(watchers: Set<Closings> | undefined): void {
    for (const closings of watchers ?? []) {
      closings.note();
      this.#untold.add(closings);
    }
  }
  #tell(): void {
    // Also those who are added meanwhile.
    for (const closings of this.#untold) {
      this.#untold.delete(closings);
      closings.tell();
    }
  }
  #close(): void {
    this.#closed = true;
    if (Instance.#current === this) Instance.#current = undefined;
    this.#readiness.close();
    native.close(this.fd);
  }
}

/**
 * Events of files: inotify(7).
 *
 * All watches of a thread share one inotify instance, because a user may have only 128 of them. It exists while there are watches. Events
 * cost the process that changes the file nothing, and nothing here keeps the program running.
 */
import { LITTLE_ENDIAN } from './bytes.js';
import { IpcError } from './errors.js';
import { inotifyAddWatch, inotifyInit, inotifyRmWatch } from './inotify.js';
import { constants, native } from './native.js';
import { READABLE, Readiness, type Waiter } from './readiness.js';

const { read } = native;
/** struct inotify_event: wd i32, mask u32, cookie u32, length u32, and a name of so many bytes, padded with NUL. */
const EVENT_BYTES = 16;
const LENGTH = 12;
/** The watch of an event that stands for some that were dropped. */
const OVERFLOW = -1;
const events = new Uint8Array(4096);
const view = new DataView(events.buffer);

/** Gets the events. Neither method throws. */
export interface FileWatcher {
  /** An event was read. `file` is the name within a watched folder; undefined: the file itself, or unknown. */
  note(file: string | undefined): void;
  /** In the event loop, once after any number of {@link note}s. */
  tell(): void;
}

export class FileWatch {
  /**
   * Undefined if the kernel refuses: no instance or watch is left (`EMFILE`, `ENOSPC`), or there is no such file.
   *
   * @param mask a set of `IN_…`, the same for all watches of one file
   */
  static open(path: string, mask: number, watcher: FileWatcher): FileWatch | undefined {
    try {
      const instance = Instance.get();
      return new FileWatch(instance, instance.join(watcher, path, mask), watcher);
    } catch (error) {
      if (error instanceof IpcError) return undefined;
      throw error;
    }
  }

  readonly #instance: Instance;
  readonly #descriptor: number;
  readonly #watcher: FileWatcher;
  #closed = false;

  private constructor(instance: Instance, descriptor: number, watcher: FileWatcher) {
    this.#instance = instance;
    this.#descriptor = descriptor;
    this.#watcher = watcher;
  }
  /** Readable while there are events, of this watch or another of the thread. */
  get fd(): number {
    return this.#instance.fd;
  }
  /** Reads the pending events; their watchers note them at once, and are notified in the next turn of the event loop. */
  look(): void {
    this.#instance.look();
  }
  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#instance.leave(this.#watcher, this.#descriptor);
  }
}

/** The inotify instance of this thread. */
class Instance implements Waiter {
  static #current: Instance | undefined;
  static get(): Instance {
    return (Instance.#current ??= new Instance());
  }

  readonly events: number = READABLE;
  readonly fd: number;
  readonly #readiness: Readiness;
  readonly #watchers = new Map<number, Set<FileWatcher>>();
  /** Watchers to notify in the event loop. */
  readonly #untold = new Set<FileWatcher>();
  #closed = false;

  constructor() {
    this.fd = inotifyInit(constants['IN_NONBLOCK']!);
    this.#readiness = new Readiness(this.fd, 'the watch for files');
    try {
      this.#readiness.notify(this);
    } catch (error) {
      this.#close();
      throw error;
    }
  }
  join(watcher: FileWatcher, path: string, mask: number): number {
    try {
      const descriptor = inotifyAddWatch(this.fd, path, mask); // the same for the same file
      const watchers = this.#watchers.get(descriptor);
      if (watchers === undefined) this.#watchers.set(descriptor, new Set([watcher]));
      else watchers.add(watcher);
      return descriptor;
    } catch (error) {
      if (this.#watchers.size === 0) this.#close();
      throw error;
    }
  }
  leave(watcher: FileWatcher, descriptor: number): void {
    this.#untold.delete(watcher);
    const watchers = this.#watchers.get(descriptor);
    if (watchers === undefined) return;
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    this.#watchers.delete(descriptor);
    // Closing the instance ends its watches, and is a hundred times faster if none was ended just before.
    if (this.#watchers.size === 0) {
      this.#close();
      return;
    }
    try {
      inotifyRmWatch(this.fd, descriptor);
    } catch {
      // The kernel has ended it: the file was removed.
    }
  }
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
  /** True: there is a new watcher to notify. */
  #take(): boolean {
    const before = this.#untold.size;
    for (let length = 0; (length = read(this.fd, events, 0, events.length)) > 0; ) {
      for (let at = 0; at + EVENT_BYTES <= length; ) {
        const descriptor = view.getInt32(at, LITTLE_ENDIAN);
        const nameLength = view.getUint32(at + LENGTH, LITTLE_ENDIAN);
        const name = nameLength === 0 ? undefined : text(at + EVENT_BYTES, nameLength);
        at += EVENT_BYTES + nameLength;
        if (descriptor === OVERFLOW) for (const watchers of this.#watchers.values()) this.#note(watchers, undefined);
        else this.#note(this.#watchers.get(descriptor), name); // undefined: its watcher has left
      }
    }
    return before === 0 && this.#untold.size > 0;
  }
  #note(watchers: Set<FileWatcher> | undefined, name: string | undefined): void {
    for (const watcher of watchers ?? []) {
      watcher.note(name);
      this.#untold.add(watcher);
    }
  }
  #tell(): void {
    // Includes those that are added meanwhile.
    for (const watcher of this.#untold) {
      this.#untold.delete(watcher);
      watcher.tell();
    }
  }
  #close(): void {
    this.#closed = true;
    if (Instance.#current === this) Instance.#current = undefined;
    this.#readiness.close();
    native.close(this.fd);
  }
}

function text(at: number, length: number): string {
  const end = events.indexOf(0, at);
  return Buffer.from(events.buffer, at, Math.min(end < 0 ? length : end - at, length)).toString();
}

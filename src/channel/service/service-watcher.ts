/**
 * Waits for a service to appear, with events of the runtime folder (inotify(7)).
 *
 * The events are about files, and a service whose socket file exists does not listen yet for some microseconds. So each event is followed
 * by several checks, at growing intervals. A check every second covers missed events, and kernels without watches left. It does not keep
 * the program running.
 */
import { FileWatch } from '../../system/file-watch.js';
import { constants } from '../../system/native.js';

/** Milliseconds between the checks after an event, then in general. */
const SOON_MS = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const LATER_MS = 1000;
/** A name appears in a folder, changes its mode or disappears. */
const EVENTS = constants['IN_CREATE']! | constants['IN_MOVED_TO']! | constants['IN_ATTRIB']! | constants['IN_DELETE']!;

export class ServiceWatcher {
  readonly #root: string;
  readonly #name: string;
  #parent: FileWatch | undefined;
  #folder: FileWatch | undefined;
  #timer: NodeJS.Timeout | undefined;
  #look: (() => void) | undefined;
  #soon = 0;
  /** An event came since the last check. */
  #news = false;

  constructor(root: string, name: string) {
    this.#root = root;
    this.#name = name;
    this.#parent = this.#watch(root, (file) => file === undefined || file === name);
    this.#enter();
  }
  /** Resolves when a check is worthwhile, or `signal` aborts. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        clearTimeout(this.#timer);
        signal.removeEventListener('abort', look);
        this.#look = undefined;
        this.#news = false;
        this.#enter();
        resolve();
      };
      if (signal.aborted || this.#news) {
        this.#news = false;
        resolve();
        return;
      }
      this.#look = look;
      signal.addEventListener('abort', look);
      this.#timer = setTimeout(look, SOON_MS[this.#soon++] ?? LATER_MS).unref();
    });
  }
  close(): void {
    clearTimeout(this.#timer);
    this.#parent?.close();
    this.#folder?.close();
  }

  /** The channel's folder, which may have been replaced by now. */
  #enter(): void {
    this.#folder?.close();
    this.#folder = this.#watch(`${this.#root}/${this.#name}`, () => true);
  }
  #watch(path: string, concerns: (file: string | undefined) => boolean): FileWatch | undefined {
    return FileWatch.open(path, EVENTS, {
      note: (file) => {
        if (concerns(file)) this.#news = true;
      },
      tell: () => {
        if (!this.#news) return;
        this.#soon = 0;
        this.#look?.();
      },
    });
  }
}

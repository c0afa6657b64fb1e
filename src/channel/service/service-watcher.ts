/**
 * Waiting for a name to be served: the kernel tells of what happens in the runtime folder (inotify(7)).
 *
 * It tells of files, and a service that has its socket's file does not listen yet for some microseconds: after each event we
 * look several times, at growing distance. Where the kernel cannot tell (no watches left), and for whatever it might have
 * missed, we look once a second. Nothing of it keeps the program running.
 */
import { FileWatch } from '../../system/file-watch.js';
import { constants } from '../../system/native.js';

/** Milliseconds between the looks after an event, then in general. */
const SOON_MS = [1, 2, 4, 8, 16, 32, 64, 128, 256];
const LATER_MS = 1000;
/** A name appears in a folder, changes its mode or goes. */
const EVENTS = constants['IN_CREATE']! | constants['IN_MOVED_TO']! | constants['IN_ATTRIB']! | constants['IN_DELETE']!;

export class ServiceWatcher {
  readonly #root: string;
  readonly #name: string;
  #parent: FileWatch | undefined;
  #folder: FileWatch | undefined;
  #timer: NodeJS.Timeout | undefined;
  #look: (() => void) | undefined;
  #soon = 0;
  /** Something has happened since the last look. */
  #news = false;

  constructor(root: string, name: string) {
    this.#root = root;
    this.#name = name;
    this.#parent = this.#watch(root, (file) => file === undefined || file === name);
    this.#enter();
  }
  /** Resolves when it is worth looking, or `signal` aborts. */
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

  /** The channel's folder, which may be another one by now. */
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

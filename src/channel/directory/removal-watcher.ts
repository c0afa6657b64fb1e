/**
 * Notices that a channel's files were removed from outside: by `rm`, a clean-up program, or systemd's logind at the end of a user's last
 * session (`RemoveIPC=yes`). Its participants could go on, but a process that comes next would create another channel of that name, and the
 * two would never meet.
 *
 * The control file has its name while any seat is taken, so a file without a name was removed. The kernel reports the change
 * (exit-watcher.ts).
 */
import type { RemovedError } from '../../system/errors.js';
import { ExitWatcher } from './exit-watcher.js';
import type { Participant } from './participant.js';

export class RemovalWatcher<Owner extends object = object> {
  readonly #exitWatcher: ExitWatcher;

  /**
   * @param owner is notified; the watcher does not keep it from being collected
   * @param lost called once at most, in the event loop; it must not refer to the owner except by its argument
   */
  constructor(participant: Participant, owner: Owner, lost: (owner: Owner, error: RemovedError) => void) {
    const weak = new WeakRef(owner);
    const look = () => {
      const error = participant.loss();
      const living = weak.deref();
      if (living === undefined) return;
      if (error === undefined) return this.#rest();
      this.close();
      lost(living, error);
    };
    this.#exitWatcher = new ExitWatcher(participant, look);
    this.#rest();
  }
  /** Polls now and then where the kernel sends no events. */
  #rest(): void {
    this.#exitWatcher.looking();
    this.#exitWatcher.sleeps();
  }
  /** Call it before the participant is closed. Idempotent. */
  close(): void {
    this.#exitWatcher.close();
  }
}

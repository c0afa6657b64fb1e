/**
 * Noticing that a channel's files were removed by somebody who takes no part in it: `rm`, a program that tidies up, systemd's logind at the end of
 * a user's last session (`RemoveIPC=yes`). Those who take part could go on, but whoever comes next would make another channel of that name, and
 * the two would never meet.
 *
 * The control file has its name for as long as somebody has a seat; so one that has none any more tells of it. The kernel says when that
 * changes (exit-watcher.ts).
 */
import type { RemovedError } from '../../system/errors.js';
import { ExitWatcher } from './exit-watcher.js';
import type { Participant } from './participant.js';

export class RemovalWatcher<Owner extends object = object> {
  readonly #exitWatcher: ExitWatcher;

  /**
   * @param owner whom it concerns; the watch does not keep it from being collected
   * @param lost called once at most, in the event loop; nothing in it may lead to the owner but its argument
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
  /** Where the kernel does not tell, we look now and then. */
  #rest(): void {
    this.#exitWatcher.looking();
    this.#exitWatcher.sleeps();
  }
  /** Before the place is closed. Idempotent. */
  close(): void {
    this.#exitWatcher.close();
  }
}

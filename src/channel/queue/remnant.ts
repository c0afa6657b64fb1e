/** What is left of a queue that the program has dropped without closing it. */
import type { Remains } from '../../system/dropped.js';
import type { Mapping } from '../../system/memory.js';
import type { Doorbell } from '../directory/doorbell.js';
import type { Participant } from '../directory/participant.js';
import type { RemovalWatcher } from '../directory/removal-watcher.js';
import type { LivenessChecker } from './liveness-checker.js';

/**
 * Cleans up a queue that was dropped, when neither the program, nor a delivery, nor a pending call refers to it any more. It counts as
 * killed, and other processes recover its messages in flight.
 */
export class Remnant implements Remains {
  readonly what: string;
  livenessChecker: LivenessChecker | undefined;
  readonly #participant: Participant;
  readonly #bell: Doorbell;
  readonly #mapping: Mapping;
  readonly #watch: RemovalWatcher;

  constructor(participant: Participant, bell: Doorbell, mapping: Mapping, watch: RemovalWatcher) {
    this.what = `queue '${participant.name}'`;
    this.#participant = participant;
    this.#bell = bell;
    this.#mapping = mapping;
    this.#watch = watch;
  }
  abandon(): boolean {
    this.livenessChecker?.close();
    this.#watch.close();
    this.#bell.close();
    this.#participant.close();
    this.#mapping.unmap();
    return true;
  }
}

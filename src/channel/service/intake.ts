/**
 * Reads frames from a connection, as long as somebody wants them: takes what is there, looks for a while, then sleeps.
 *
 * While it looks, what the frames have set in motion goes on: between any few looks promises get their turn, and after
 * {@link STREAK} frames without a sleep the event loop does, so that timers and sockets are served under any load.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Connection } from '../connection/index.js';
import type { Spin } from '../spin.js';
import type { Frame } from './frame.js';

const STREAK = 128;
/** Looks before promises get their turn. */
const LOOKS = 8;

export interface Reader {
  /** Whether anybody waits for a frame. */
  readonly wanted: boolean;
  /** Deals with a frame, which is used again afterwards. What it throws ends the connection. */
  received(frame: Frame): void;
  /** The connection is over, for this reason. Called once, unless {@link Intake.stop} was. */
  lost(error: unknown): void;
}

export class Intake {
  readonly #connection: Connection<unknown>;
  readonly #spin: Spin;
  readonly #reader: Reader;
  /** Frames since the event loop had its turn. */
  #streak = 0;
  #running = false;
  #stopped = false;
  /** Ends the sleep. */
  #park: AbortController | undefined;
  #parked = false;

  constructor(connection: Connection<unknown>, spin: Spin, reader: Reader) {
    this.#connection = connection;
    this.#spin = spin;
    this.#reader = reader;
  }
  /** Somebody wants a frame now. What is under way in this turn comes first: calls that are made together travel together. */
  start(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    queueMicrotask(this.#run);
  }
  get running(): boolean {
    return this.#running;
  }
  /** Nobody wants frames any more. Those that come stay where they are, and a sleep does not keep the program running. */
  rest(): void {
    if (!this.#parked) return;
    this.#park?.abort();
    this.#park = undefined;
  }
  /** For good. */
  stop(): void {
    this.#stopped = true;
    this.rest();
  }

  readonly #run = async (): Promise<void> => {
    const connection = this.#connection;
    const reader = this.#reader;
    try {
      while (!this.#stopped) {
        let frame = connection.tryReceive() as Frame | undefined;
        if (frame === undefined) {
          if (!reader.wanted) break;
          const budget = this.#spin.budget();
          if (budget > 0) {
            const end = performance.now() + budget / 1000;
            do {
              await undefined;
              for (let i = 0; i < LOOKS && frame === undefined && !this.#stopped; i++)
                frame = connection.tryReceive() as Frame | undefined;
            } while (frame === undefined && !this.#stopped && reader.wanted && performance.now() < end);
            this.#spin.learn(frame !== undefined);
            if (frame === undefined && performance.now() < end) continue;
          }
          frame ??= await this.#sleep();
          if (frame === undefined) continue;
        }
        reader.received(frame);
        if (++this.#streak >= STREAK && !this.#stopped) {
          await turn();
          this.#streak = 0;
        }
      }
    } catch (error) {
      if (!this.#stopped) {
        this.#stopped = true;
        reader.lost(error);
      }
    } finally {
      this.#running = false;
    }
  };
  async #sleep(): Promise<Frame | undefined> {
    this.#park ??= new AbortController();
    const { signal } = this.#park;
    this.#parked = true;
    this.#streak = 0;
    try {
      return (await this.#connection.receive({ signal })) as Frame;
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    } finally {
      this.#parked = false;
    }
  }
}

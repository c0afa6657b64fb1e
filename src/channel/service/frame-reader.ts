/**
 * Reads frames from a connection, as long as somebody wants them: takes what is there, looks for a while, then sleeps.
 *
 * While it looks, what the frames have set in motion goes on: between looks promises get their turn, and now and then the event loop
 * does (system/cooperative-budget.ts), so that timers and sockets are served under any load.
 */
import { mayGoOn, nextTurn } from '../../system/cooperative-budget.js';
import type { Connection } from '../connection/index.js';
import type { Frame } from './frame.js';

/** How often promises get their turn between two looks at the clock. */
const POLLS_PER_CLOCK_READ = 8;

export interface Reader {
  /** Whether anybody waits for a frame. */
  readonly wanted: boolean;
  /** Deals with a frame, which is used again afterwards. What it throws ends the connection. */
  received(frame: Frame): void;
  /** The connection is over, for this reason. Called once, unless {@link Intake.stop} was. */
  lost(error: unknown): void;
}

export class FrameReader {
  readonly #connection: Connection<unknown>;
  readonly #reader: Reader;
  #running = false;
  #stopped = false;
  /** It sleeps. */
  #parked = false;

  constructor(connection: Connection<unknown>, reader: Reader) {
    this.#connection = connection;
    this.#reader = reader;
  }
  /** Somebody wants a frame now. What is under way in this turn comes first: calls that are made together travel together. */
  start(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    void this.#run();
  }
  get running(): boolean {
    return this.#running;
  }
  /** Nobody wants frames any more. Those that come stay where they are, and a sleep does not keep the program running. */
  rest(): void {
    if (this.#parked) this.#connection.dismissReceivers(nobodyWaits);
  }
  /** Deals now with what has come, at most so many frames. */
  sweep(limit: number): void {
    this.rest();
    for (let i = 0; i < limit && !this.#stopped; i++) {
      const frame = this.#connection.tryReceive() as Frame | undefined;
      if (frame === undefined) return;
      this.#reader.received(frame);
    }
  }
  /** For good. */
  stop(): void {
    this.#stopped = true;
    this.rest();
  }

  async #run(): Promise<void> {
    await undefined;
    const connection = this.#connection;
    const { spin } = connection;
    const reader = this.#reader;
    try {
      while (!this.#stopped) {
        let frame = connection.tryReceive() as Frame | undefined;
        if (frame === undefined) {
          if (!reader.wanted) break;
          const budget = spin.begin();
          if (budget > 0) {
            do {
              for (let i = 0; i < POLLS_PER_CLOCK_READ && frame === undefined && !this.#stopped && reader.wanted; i++) {
                await undefined;
                frame = this.#look();
              }
            } while (frame === undefined && !this.#stopped && reader.wanted && !spin.over(budget));
            if (frame !== undefined) spin.found();
            else spin.missed();
            if (frame === undefined && !reader.wanted) continue;
          }
          frame ??= await this.#sleep();
          if (frame === undefined) continue;
          if (this.#stopped) break; // meanwhile
        }
        reader.received(frame);
        if (!mayGoOn() && !this.#stopped) {
          await nextTurn();
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
  }
  /** A few looks. Few, because whatever else goes on in promises has to wait for them. */
  #look(): Frame | undefined {
    if (this.#stopped) return undefined;
    const connection = this.#connection;
    return (connection.tryReceive() ?? connection.tryReceive()) as Frame | undefined;
  }
  async #sleep(): Promise<Frame | undefined> {
    this.#parked = true;
    try {
      return (await this.#connection.receiveAsleep()) as Frame;
    } catch (error) {
      if (error === nobodyWaits) return undefined;
      throw error;
    } finally {
      this.#parked = false;
    }
  }
}
const nobodyWaits = new Error('the wait for frames has ended');

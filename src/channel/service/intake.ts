/**
 * Reads frames from a connection, as long as somebody wants them: takes what is there, looks for a while, then sleeps.
 *
 * While it looks, what the frames have set in motion goes on: between looks promises get their turn, and after
 * {@link STREAK} frames without a sleep the event loop does, so that timers and sockets are served under any load.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Connection } from '../connection/index.js';
import type { Spin } from '../spin.js';
import type { Frame } from './frame.js';

const STREAK = 128;
/** How often promises get their turn between two looks at the clock. */
const ROUNDS = 8;

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
  /** It sleeps. */
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
              for (let i = 0; i < ROUNDS && frame === undefined && !this.#stopped && reader.wanted; i++) {
                await undefined;
                frame = this.#look();
              }
            } while (frame === undefined && !this.#stopped && reader.wanted && performance.now() < end);
            this.#spin.learn(frame !== undefined);
            if (frame === undefined && !reader.wanted) continue;
          }
          frame ??= await this.#sleep();
          if (frame === undefined) continue;
          if (this.#stopped) break; // meanwhile
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
  }
  /** A few looks. Few, because whatever else goes on in promises has to wait for them. */
  #look(): Frame | undefined {
    if (this.#stopped) return undefined;
    const connection = this.#connection;
    return (connection.tryReceive() ?? connection.tryReceive()) as Frame | undefined;
  }
  async #sleep(): Promise<Frame | undefined> {
    this.#parked = true;
    this.#streak = 0;
    try {
      return (await this.#connection.receive()) as Frame;
    } catch (error) {
      if (error === nobodyWaits) return undefined;
      throw error;
    } finally {
      this.#parked = false;
    }
  }
}
const nobodyWaits = new Error('nobody waits for frames any more');

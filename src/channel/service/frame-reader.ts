/**
 * Reads frames from a connection while they are wanted: takes what is there, spins for a while, then sleeps.
 *
 * While it spins, the consequences of earlier frames go on: between polls promises get their turn, and from time to time the event loop
 * does (system/cooperative-budget.ts), so that timers and sockets are served under any load.
 */
import { mayGoOn, nextTurn } from '../../system/cooperative-budget.js';
import type { Connection } from '../connection/index.js';
import type { Frame } from './frame.js';

/** How often promises get their turn between two readings of the clock. */
const POLLS_PER_CLOCK_READ = 8;

export interface Reader {
  /** Whether a call waits for a frame. */
  readonly wanted: boolean;
  /** Handles a frame, which is reused afterwards. If it throws, the connection ends. */
  received(frame: Frame): void;
  /** The connection is over, for this reason. Called once, unless {@link FrameReader.stop} was. */
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
  /** A frame is wanted now. Pending work of this turn comes first, so that calls that are made together are sent together. */
  start(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    void this.#run();
  }
  get running(): boolean {
    return this.#running;
  }
  /** Frames are not wanted any more. New ones stay in the ring, and a sleep does not keep the program running. */
  rest(): void {
    if (this.#parked) this.#connection.dismissReceivers(nobodyWaits);
  }
  /** Handles the frames that are there now, at most so many. */
  sweep(limit: number): void {
    this.rest();
    for (let i = 0; i < limit && !this.#stopped; i++) {
      const frame = this.#connection.tryReceive() as Frame | undefined;
      if (frame === undefined) return;
      this.#reader.received(frame);
    }
  }
  /** Permanently. */
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
  /** Polls a few times. Only a few, because other promises wait meanwhile. */
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

/**
 * What a row of the benchmark is. A file in rows/ hands out one of these by `export default`, or an array of a few that belong
 * together; see README.md.
 */
import type { ChildProcess, StdioOptions } from 'node:child_process';

/**
 * - `round-trip`: two processes; one asks, the other answers, one message under way. Time of each round trip.
 * - `one-way`: two processes; one sends as fast as it can. Messages a second, counted by the one who receives.
 * - `call`: one process; the same thing again and again. Time of one, over batches.
 * - `measure`: the row measures by itself (whole commands, say) and hands back its own figures.
 */
export type Kind = 'round-trip' | 'one-way' | 'call' | 'measure';

export interface Row {
  /** Unique, and what the command line selects by. */
  name: string;
  /** What it is compared with stands in the same group. */
  group: string;
  /** One line for `--list`. */
  about: string;
  kinds: Kind[];
  /** Bytes of a message, or of whatever the row moves. Left out: the row moves nothing. */
  sizes?: number[];
  /** The largest size that it can take; larger ones asked for by `--size` are left out. */
  largest?: number;
  /** The rows that the ratio column compares with, by name. Those of the targets need not be repeated. */
  against?: string | string[];
  targets?: Target[];
  /** A standing baseline: it joins every run that has a `round-trip` or `one-way` row of the same size. */
  standing?: boolean;
  /** Seconds after which a run is killed and the row has failed. Default 60. */
  limit?: number;

  /** Its figures do not depend on how far the cores are from each other: no runs of it are told apart by that. */
  anywhere?: boolean;
  /** Both processes may use both cores, as a user's may, instead of one each: with one core the default options never spin. */
  bothCores?: boolean;
  /** `round-trip` of an `async` port: after so many, a pause of so many milliseconds. */
  burst?: { length: number; pause: number };

  /** A program in c/ that does it all, by c/bench.h. Instead of the functions below. */
  c?: Program;
  /** `round-trip` and `one-way`: the process that asks or sends. It starts the other one by `side.startPeer()`. */
  ask?(side: AskSide): Port | Promise<Port>;
  /** `round-trip` and `one-way`: the process that answers or receives. */
  answer?(side: AnswerSide): Port | Promise<Port>;
  /** `call`: makes ready, and gives a function that does the thing `count` times in a loop of its own. */
  calls?(side: Side): Batch | Promise<Batch>;
  /** `call`: times in a batch. One batch should take 10 µs or more, so that the clock does not matter. Default 100. */
  batch?: number;
  /** `measure`: the figures of one run, by the names in `metrics`. Runs in a process of its own, on both cores. */
  measure?(side: MeasureSide): Promise<Record<string, number>>;
  /** `measure`: the figures; the first is the one that ratios are made of. */
  metrics?: Record<string, Metric>;
  /** Once before the first run of each size, in the benchmark's own process. Gives a reason if the row cannot run here. */
  setUp?(place: Place, size: number): string | undefined | Promise<string | undefined>;
  /** With `--smoke`, these sizes instead. Default: the smallest. */
  smokeSizes?: number[];
}
export interface Program {
  /** `.c` or `.cpp`. */
  source: string;
  options?: string[];
  /** The compiler knows the size of the messages: the program is compiled for each. */
  fixedSize?: boolean;
  /** What the row needs beside a compiler. Without it the row is skipped, with one line that says so. */
  needs?: Needs;
}
export interface Needs {
  /** What Debian calls it. */
  packages: string;
  /** A header that says whether it is there. */
  header: string;
  /** Where headers are that are not in the usual place: a pattern within the folders of headers, as `iceoryx/v*`. */
  within?: string;
  libraries?: string[];
  /** A program that must be in PATH. */
  program?: string;
}
export type Batch = (count: number) => void | Promise<void>;

export interface Metric {
  unit: Unit;
  better: 'less' | 'more';
}
/** `ns`, `s`: time. `/s`: messages a second. `B`, `B/s`: bytes. `x`: a plain number. */
export type Unit = 'ns' | 's' | '/s' | 'B' | 'B/s' | 'x';

/** What is hoped for: of `metric`, this row's figure, or with `against` its ratio to that of another row (or size). */
export interface Target {
  /** Default: the kind's first (`p50`, `rate`). */
  metric?: string;
  /** Default: every kind, every size. */
  kind?: Kind;
  at?: Size;
  /** A row's name. May be the row itself, at another size. */
  against?: string;
  /** Default: the same size. */
  againstAt?: Size;
  /** Default: the same kind. */
  againstKind?: Kind;
  /**
   * The part of the runs that must meet it, as 0.95 for 19 of 20. What is judged is then the worst of so many, by its ratio to the median
   * of the other row. Default: the median.
   */
  inRuns?: number;
  atMost?: number;
  atLeast?: number;
}
export type Size = number | 'smallest' | 'largest';

/** Where a run of the benchmark keeps things. Everything in it is removed at the end. */
export interface Place {
  /** A folder for sockets and the like. */
  readonly folder: string;
  /** A folder in memory (tmpfs), for large files. */
  readonly memory: string;
  /** The beginning of names of kernel objects (`/dev/shm`, message queues), unique to this run. */
  readonly prefix: string;
  /** Compiled programs, by the name of their source. */
  readonly programs: Record<string, string>;
}
export interface Side extends Place {
  readonly kind: Kind;
  /** 0 if the row moves nothing. */
  readonly size: number;
  readonly smoke: boolean;
}
export interface AskSide extends Side {
  /**
   * Starts the other process, on the other core. `stdio` are further descriptors for it (numbers, or `'ipc'`); the peer finds
   * them as `side.descriptors`, in the same order.
   */
  startPeer(options?: {
    stdio?: Exclude<StdioOptions, string>;
    serialization?: 'json' | 'advanced';
    /** Given to the peer as `side.arguments`. */
    arguments?: string[];
  }): ChildProcess;
}
export interface AnswerSide extends Side {
  readonly descriptors: number[];
  readonly arguments: string[];
}
export interface MeasureSide extends Side {
  /** Runs a program to its end. Throws if it fails. */
  command(file: string, ...args: string[]): Promise<Finished>;
}
export interface Finished {
  /** From just before fork to just after wait. */
  seconds: number;
  /** Bytes; of the largest process among the program and what it started and waited for. */
  maxRss: number;
  stdout: string;
  stderr: string;
}

/** A message is bytes, or whatever `messages()` makes. */
export type Message = unknown;
/** One end of a way between two processes, in one of three voices. */
export type Port = SyncPort | AsyncPort | EventPort;
interface AnyPort {
  /** Other messages than bytes. The three must differ, and `mark` must tell which one arrived. */
  messages?(size: number): Messages;
  mark?(message: Message): number;
  close?(): void;
}
export interface Messages {
  plain: Message;
  /** What the receiver counts from. */
  start: Message;
  last: Message;
}
/** Blocks the thread. */
export interface SyncPort extends AnyPort {
  voice: 'sync';
  send(message: Message): void;
  receive(): Message;
}
export interface AsyncPort extends AnyPort {
  voice: 'async';
  send(message: Message): void | Promise<void>;
  /** A message that is already here may be given as it is. */
  receive(): Message | Promise<Message>;
}
/** As Node's own: messages come as calls. */
export interface EventPort extends AnyPort {
  voice: 'events';
  /** False: wait for `drained` before the next. */
  send(message: Message): boolean;
  drained(callback: () => void): void;
  listen(callback: (message: Message) => void): void;
}

/** What a process says at the end of a run, as one line of JSON on standard output. */
export interface Outcome {
  metrics: Record<string, number>;
  /** Counts by bucket of an eighth of a power of two: bucket b holds times from 2^(b/8) to 2^((b+1)/8) ns. */
  histogram?: [bucket: number, count: number][];
  /** Added by the benchmark: the bare cache line between the two cores before and after the run, in nanoseconds. */
  pings?: [before: number, after: number];
}

/** The interface of a transport, which copies a file between two processes. One file each in `transports/`. */

/** What both participants know; plain data, passed to them as JSON. */
export interface Plan {
  /** The name in the registry. */
  via: string;
  /** Bytes that SOURCE had when it was opened; null: read to its end (files in /proc have no size). */
  length: number | null;
  /** The most bytes moved by one call. */
  chunk: number;
  /** Data from the transport's `prepare` for its participants. */
  note?: string;
}

/** The resources of a participant. Its descriptors are blocking: it has nothing else to do. */
export interface Side {
  readonly plan: Plan;
  /** SOURCE in the server, DESTINATION in the client. */
  readonly file: number;
  /** The descriptors from `prepare` for this side. */
  readonly descriptors: readonly number[];
  /** Call it when data begins to move, after all preparations. */
  begin(): void;
  /** Call it after each step with the bytes copied so far. */
  progress(bytes: number): void;
  /** Bytes that went through the kernel but are not the file's, so they do not count as copies of it. */
  control(bytes: number): void;
}

/** The result of `prepare`, in the process that starts the two. */
export interface Prepared {
  readonly server: readonly number[];
  readonly client: readonly number[];
  readonly note?: string;
  /** Bytes per call, if a limit of the kernel allows fewer than requested. */
  readonly chunk?: number;
  /** Called once both have been started: closes this process's copies of the descriptors. */
  started(): void;
  /** Called at the end, in any case. Idempotent. */
  cleanUp(): void;
}

export interface Transport {
  /** As `--via` names it. */
  readonly name: string;
  /** One line for help texts. */
  readonly summary: string;
  /** The best number of bytes per call; measured, see docs/copy.md. */
  readonly chunk: number;
  prepare(chunk: number): Prepared;
  /** Reads SOURCE and sends it; returns the number of bytes. Blocks until done. */
  serve(side: Side): number;
  /** Writes DESTINATION; returns the number of bytes. Blocks until done. */
  receive(side: Side): number;
  /**
   * Only for transports whose kernel object outlives its users: removes it. Called in the client when the command has ended; the kernel
   * does not kill such a client together with the command.
   */
  orphaned?(plan: Plan): void;
}

/** The size of the next read of SOURCE: never beyond its original length, however it grows. */
export function wanted(plan: Plan, done: number): number {
  return plan.length === null ? plan.chunk : Math.min(plan.chunk, plan.length - done);
}

/** What a way of moving a file between two processes must supply. One file each in `transports/`. */

/** What both participants know; plain data, handed to them as JSON. */
export interface Plan {
  /** The name in the registry. */
  via: string;
  /** Bytes that SOURCE had when it was opened; null to read to its end (files in /proc have no size). */
  length: number | null;
  /** Bytes moved by one call at the most. */
  chunk: number;
  /** What the transport's `prepare` wants its participants to know. */
  note?: string;
}

/** What a participant works with. Its descriptors are blocking: it has nothing else to do. */
export interface Side {
  readonly plan: Plan;
  /** SOURCE in the server, DESTINATION in the client. */
  readonly file: number;
  /** The descriptors that `prepare` gave this side. */
  readonly descriptors: readonly number[];
  /** Call when data begins to move, after all that is only set-up. */
  begin(): void;
  /** Call after each step with the bytes done so far. */
  progress(bytes: number): void;
  /** Bytes that went through the kernel but are not the file's, so that they are not counted as its copies. */
  control(bytes: number): void;
}

/** What `prepare` made, in the process that starts the two. */
export interface Prepared {
  readonly server: readonly number[];
  readonly client: readonly number[];
  readonly note?: string;
  /** Bytes per call, where a limit of the kernel allows fewer than were asked for. */
  readonly chunk?: number;
  /** Called once both have been started: closes this process's copies of the descriptors. */
  started(): void;
  /** Called at the end, however it ended. Idempotent. */
  cleanUp(): void;
}

export interface Transport {
  /** As `--via` names it. */
  readonly name: string;
  /** One line for help texts. */
  readonly summary: string;
  /** Bytes per call that serve it best here; measured, see docs/copy.md. */
  readonly chunk: number;
  prepare(chunk: number): Prepared;
  /** Reads SOURCE and passes it on; gives the bytes that it passed. Blocks until done. */
  serve(side: Side): number;
  /** Writes DESTINATION; gives the bytes that it wrote. Blocks until done. */
  receive(side: Side): number;
  /**
   * Only for transports whose object outlives its users: removes it. Called in the client when the command is gone; the kernel
   * does not kill such a client together with the command.
   */
  orphaned?(plan: Plan): void;
}

/** How many bytes the next read of SOURCE may take: never more than it had at the beginning, however it grows. */
export function wanted(plan: Plan, done: number): number {
  return plan.length === null ? plan.chunk : Math.min(plan.chunk, plan.length - done);
}

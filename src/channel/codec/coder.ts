/** The interface of every codec: how values become bytes. */

/** One per channel object. Not shared between threads; its results live until its next call. */
export interface Coder<T, R = T> extends Decoder<R> {
  /**
   * The bytes of a value. They belong to the coder (or the caller, for `bytes`), so copy them before the next call. Throws a
   * NotEncodableError if the value cannot be encoded.
   */
  encode(value: T): Uint8Array;
  /** Set if all values have the same length. Then {@link encodeInto} exists too. */
  readonly fixedLength?: number;
  /** As {@link encode}, directly to its destination. The value's own code (getters) may run meanwhile. */
  encodeInto?(memory: Uint8Array, offset: number, value: T): void;
}
/** Creates values of type `T`. */
export interface Decoder<T> {
  /** Recorded in the channel, so that two processes that disagree find out when they open it. */
  readonly name: string;
  /**
   * The value of `length` bytes at `offset`; it keeps no reference to `memory`. Throws if the bytes, which come from a peer, are invalid.
   */
  decode(memory: Uint8Array, offset: number, length: number): T;
  /**
   * Whether {@link decode} can run on memory that the peer can still change: it reads each byte once, and nothing that it reads can do
   * harm. The others get a private copy: they read some bytes twice, and could go out of bounds if the two differ.
   */
  readonly shared: boolean;
  /** Whether values are the bytes as they are: a view of a private copy is a value. */
  readonly verbatim?: boolean;
  /** Whether they call functions of the user, which run in the async context of the call that sends or receives. */
  readonly foreign?: boolean;
}

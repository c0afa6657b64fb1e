/** How values become bytes: what every codec of a channel is to the rest of it. */

/** One per channel object. Not shared between threads; its results live until its next call. */
export interface Coder<T, R = T> extends Decoder<R> {
  /**
   * The bytes of a value; the coder's own (or the caller's, for `bytes`), so copy them before the next call.
   * Throws a NotEncodableError if the value cannot be encoded.
   */
  encode(value: T): Uint8Array;
  /** If all values have the same length. Then {@link encodeInto} is there too. */
  readonly fixedLength?: number;
  /** As {@link encode}, to where the bytes are wanted. The value's own code (getters) may run meanwhile. */
  encodeInto?(memory: Uint8Array, offset: number, value: T): void;
}
/** What makes values of type `T`. */
export interface Decoder<T> {
  /** What the channel records, so that two who do not agree find out when they open it. */
  readonly name: string;
  /**
   * The value of `length` bytes at `offset`; it keeps nothing of `memory`.
   * Throws whatever is wrong with the bytes, which are a peer's.
   */
  decode(memory: Uint8Array, offset: number, length: number): T;
  /**
   * Whether {@link decode} may be given memory that the peer can still change: it reads each byte once, and does nothing with it
   * that could go wrong. The others get a private copy: decoders look twice, and would go out of bounds if the second look differed.
   */
  readonly shared: boolean;
  /** Whether values are the bytes as they are: a view of a private copy of them is one. */
  readonly verbatim?: boolean;
  /** Whether they call functions of the user's, which run in the async context of the call that sends or receives. */
  readonly foreign?: boolean;
}

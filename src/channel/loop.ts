/** The iterator of `for await` over messages. Not a generator, which would cost more than the message. */

/** The source of the messages. */
export interface Source<T> {
  /** The next one, if it is there and the event loop does not need its turn first. */
  resultNow(): IteratorResult<T, undefined> | undefined;
  receive(): Promise<T>;
  /** Whether this error ends the loop like a normal end. */
  endsLoop(error: unknown): boolean;
}

/** Takes a message only when it is requested, so leaving the loop loses nothing. */
export class Loop<T> implements AsyncIterableIterator<T> {
  readonly #source: Source<T>;
  #over = false;
  constructor(source: Source<T>) {
    this.#source = source;
  }
  next(): Promise<IteratorResult<T>> {
    if (this.#over) return Promise.resolve({ done: true, value: undefined });
    try {
      const result = this.#source.resultNow();
      if (result !== undefined) return Promise.resolve(result);
    } catch (error) {
      return this.#end(error);
    }
    return this.#source.receive().then(
      (value) => ({ done: false, value }),
      (error) => this.#end(error),
    );
  }
  return(): Promise<IteratorResult<T>> {
    this.#over = true;
    return Promise.resolve({ done: true, value: undefined });
  }
  [Symbol.asyncIterator](): this {
    return this;
  }
  async #end(error: unknown): Promise<IteratorResult<T>> {
    this.#over = true;
    if (this.#source.endsLoop(error)) return { done: true, value: undefined };
    throw error;
  }
}

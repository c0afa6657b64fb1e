/** A received message. */
import { inspect } from 'node:util';
import { ClosedError, IpcError } from '../../system/errors.js';

/** The queue that a delivery is settled with. */
export interface DeliveryOwner {
  closed: boolean;
  readonly what: string;
  acknowledge(slot: number, word: number): void;
  redeliver(slot: number, word: number, type: number): void;
}
const HELD = 0;
const ACKNOWLEDGED = 1;
const REJECTED = 2;

/**
 * A received message, which you must settle: acknowledge or reject it. Until then it is in flight: no other consumer gets it, and it
 * occupies its slot. If its consumer closes the queue or dies, the message is redelivered, as if rejected.
 *
 * @example
 * ```ts
 * import { Queue } from 'vecino';
 *
 * const queue = await Queue.open<string>('delivery-example', { codec: 'text' });
 * await queue.send('again');
 * const first = await queue.receive();
 * first.reject();
 * const second = await queue.receive();
 * console.log(second.value, second.attempt); // again 2
 * second.acknowledge();
 * queue.close();
 * Queue.unlink('delivery-example');
 * ```
 */
export class Delivery<T> implements Disposable {
  readonly #value: T;
  readonly #priority: number;
  readonly #type: number;
  readonly #attempt: number;
  readonly #owner: DeliveryOwner;
  readonly #slot: number;
  readonly #word: number;
  #fate = HELD;

  /** @internal */
  constructor(
    value: T,
    priority: number,
    type: number,
    attempt: number,
    owner: DeliveryOwner,
    slot: number,
    word: number,
  ) {
    this.#value = value;
    this.#priority = priority;
    this.#type = type;
    this.#attempt = attempt;
    this.#owner = owner;
    this.#slot = slot;
    this.#word = word;
  }
  /** The value that was sent. */
  get value(): T {
    return this.#value;
  }
  /** Its priority; higher is delivered first. */
  get priority(): number {
    return this.#priority;
  }
  /** The type that it was sent with. */
  get type(): number {
    return this.#type;
  }
  /** The number of deliveries so far, including this one: 1 for the first. */
  get attempt(): number {
    return this.#attempt;
  }
  /**
   * The message is processed: removes it and frees its slot. Calling it again does nothing.
   *
   * @throws ClosedError if the queue was closed meanwhile, so that the message is redelivered
   * @throws IpcError `ERR_VECINO_SETTLED` if it was rejected
   */
  acknowledge(): void {
    if (this.#fate !== HELD || this.#owner.closed) {
      if (this.#fate === ACKNOWLEDGED) return;
      this.#refuse('rejected');
    }
    this.#owner.acknowledge(this.#slot, this.#word);
    this.#fate = ACKNOWLEDGED;
  }
  /**
   * The message was not processed: returns it to its position in the queue, for redelivery. Calling it again does nothing.
   *
   * @throws IpcError `ERR_VECINO_SETTLED` if it was acknowledged
   * @throws ClosedError if the queue was closed meanwhile
   */
  reject(): void {
    if (this.#fate === REJECTED) return;
    if (this.#fate !== HELD || this.#owner.closed) this.#refuse('acknowledged');
    this.#owner.redeliver(this.#slot, this.#word, this.#type);
    this.#fate = REJECTED;
  }
  /** Whether it was acknowledged or rejected. */
  get settled(): boolean {
    return this.#fate !== HELD;
  }
  /** Rejects it, unless it is settled. */
  [Symbol.dispose](): void {
    if (this.#fate === HELD && !this.#owner.closed) this.reject();
  }
  /** For console.log and util.inspect. */
  [inspect.custom](): object {
    const { priority, type, attempt, settled } = this;
    return { value: this.#value, priority, type, attempt, settled };
  }
  #refuse(was: string): never {
    if (this.#fate !== HELD) throw new IpcError('ERR_VECINO_SETTLED', `this message was ${was} already`);
    throw new ClosedError(`the delivery was returned for redelivery: ${this.#owner.what}`);
  }
}

/** A message that cannot be decoded. Reading the value throws the error; you can acknowledge the message to remove it. */
export class Undecodable<T> extends Delivery<T> {
  readonly #error: unknown;

  constructor(
    error: unknown,
    priority: number,
    type: number,
    attempt: number,
    owner: DeliveryOwner,
    slot: number,
    word: number,
  ) {
    super(undefined as T, priority, type, attempt, owner, slot, word);
    this.#error = error;
  }
  override get value(): T {
    throw this.#error;
  }
}

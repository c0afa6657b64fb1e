// What all workers know of each client: a token bucket, and the answer that was computed last.
// It lies in anonymous shared memory, so that nothing is left behind however the processes end.
import { layout, Mutex, SharedMemory, type ViewOf } from 'vecino';

const SLOTS = 1024;
const head = layout({ writing: 'u32' }); // 1 + the slot that is being changed; 0: none
const record = layout({
  key: { utf8: 64 },
  tokens: 'f64',
  refilledAt: 'f64',
  answer: { utf8: 128 },
  freshUntil: 'f64',
});
const HEAD_OFFSET = Mutex.byteLength;
const RECORDS_OFFSET = 64;
const bytes = RECORDS_OFFSET + SLOTS * record.byteLength;

export type Client = ViewOf<typeof record>;

export class Clients {
  readonly #memory: SharedMemory;
  readonly #mutex: Mutex;

  private constructor(memory: SharedMemory) {
    this.#memory = memory;
    this.#mutex = Mutex.at(memory);
  }
  /** In the primary. Its `fd` goes to the workers. */
  static create(): Clients {
    const memory = SharedMemory.anonymous(bytes);
    Mutex.create(memory);
    return new Clients(memory);
  }
  /** In a worker that has inherited the descriptor. */
  static inherit(fd: number): Clients {
    return new Clients(SharedMemory.fromFd(fd));
  }
  get fd(): number {
    return this.#memory.fd;
  }
  close(): void {
    this.#memory.close();
  }

  /** Calls `change` with the client's record, while no other worker can see or change it. Keep it short. */
  async update<T>(key: string, change: (client: Client) => T): Promise<T> {
    using guard = await this.#mutex.lock();
    const writing = head.at(this.#memory, HEAD_OFFSET);
    if (guard.ownerDied) {
      // A worker was killed while it changed a record, which may be half new: forget that one.
      if (writing.writing > 0) this.#clear(writing.writing - 1);
      guard.markConsistent();
      console.log(`worker ${process.pid} repaired the table after a death`);
    }
    const slot = this.#find(key);
    writing.writing = slot + 1;
    try {
      return change(record.at(this.#memory, RECORDS_OFFSET + slot * record.byteLength));
    } finally {
      writing.writing = 0;
    }
  }
  #clear(slot: number): void {
    const start = RECORDS_OFFSET + slot * record.byteLength;
    new Uint8Array(this.#memory.buffer, start, record.byteLength).fill(0);
  }
  /** The slot of the key, or a new one, or that of the client that was silent for longest among the neighbours. */
  #find(key: string): number {
    let hash = 0;
    for (const byte of Buffer.from(key)) hash = (Math.imul(hash, 31) + byte) >>> 0;
    let oldest = hash % SLOTS;
    let oldestAt = Number.POSITIVE_INFINITY;
    for (let probe = 0; probe < 8; probe++) {
      const slot = (hash + probe) % SLOTS;
      const client = record.at(this.#memory, RECORDS_OFFSET + slot * record.byteLength);
      if (client.key === key) return slot;
      if (client.refilledAt < oldestAt) {
        oldest = slot;
        oldestAt = client.refilledAt;
      }
    }
    this.#clear(oldest);
    record.at(this.#memory, RECORDS_OFFSET + oldest * record.byteLength).key = key;
    return oldest;
  }
}

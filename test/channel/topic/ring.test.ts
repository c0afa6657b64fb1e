import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DATA,
  KIND,
  LENGTH,
  longestMessage,
  MESSAGE,
  OLDEST,
  PAD,
  SEQUENCE_HIGH,
  SEQUENCE_LOW,
  TAIL,
  unitsOf,
} from '#src/lock-free/broadcast-ring/layout.js';
import { type Beginning, LOST, OVERTAKEN, RECEIVED, RingReader } from '#src/lock-free/broadcast-ring/reader.js';
import { RingWriter } from '#src/lock-free/broadcast-ring/writer.js';

const capacity = 4096;
const units = capacity / 16;
/** A ring in private memory whose next message has that number, at that position. */
function ring(position = 0, number = 0) {
  const buffer = new ArrayBuffer(DATA + capacity);
  const words = new Int32Array(buffer);
  const index = (at: number) => (DATA >> 2) + ((at & (units - 1)) << 2);
  const settle = (at: number, sequence: number) => {
    words[TAIL] = words[OLDEST] = at | 0;
    words[index(at) + SEQUENCE_LOW] = sequence | 0;
    words[index(at) + SEQUENCE_HIGH] = Math.floor(sequence / 2 ** 32);
  };
  settle(position, number);
  const reader = (from: Beginning) => {
    const counts = new Float64Array(4);
    return { counts, reader: new RingReader({ buffer, check() {}, unmap() {} }, capacity, counts, from) };
  };
  return { buffer, words, index, settle, reader, writer: () => new RingWriter(buffer, capacity) };
}
/** A message that says its number, in its first 8 bytes and all over. */
function message(number: number, length: number): Uint8Array {
  const bytes = new Uint8Array(8 + length).fill(number);
  new DataView(bytes.buffer).setFloat64(0, number);
  return bytes;
}
function numberIn(reader: RingReader, offset: number): number {
  const number = new DataView(reader.bytes.buffer).getFloat64(offset);
  assert.ok(reader.bytes.subarray(offset + 8, offset + reader.length).every((byte) => byte === (number & 255)));
  return number;
}

test('Broadcast ring: positions and the lower half of numbers wrap, and every message is received or counted as lost', () => {
  let seed = 1;
  const random = (n: number) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % n;
  for (const [position, number] of [
    [0, 0],
    [2 ** 32 - 1000, 2 ** 32 - 200],
    [2 ** 31 - 1000, 2 ** 31 - 200],
    [12345, 2 ** 40 - 100],
  ] as const) {
    const { writer: open, reader: subscribe } = ring(position, number);
    let writer = open();
    const readers = (['now', 'oldest'] as const).map(subscribe);
    const expected = readers.map(() => number);
    let next = number;
    for (let round = 0; round < 3000; round++) {
      for (let burst = random(12); burst > 0; burst--) {
        const length = random(8) === 0 ? random(longestMessage(capacity) - 7) : random(200);
        writer.write(message(next, length));
        next++;
      }
      if (random(20) === 0) {
        // Killed with a message half written: the next one goes on.
        const offset = writer.reserve(random(longestMessage(capacity)));
        readers[0]!.reader.bytes.fill(255, offset, offset + 8);
        writer = open();
      }
      const who = random(3);
      const { reader, counts } = readers[who] ?? readers[0]!;
      if (who === 2) continue;
      for (let some = random(20); some > 0; some--) {
        const offset = reader.next();
        if (offset < 0) {
          assert.equal(counts[RECEIVED]! + counts[LOST]!, next - number);
          break;
        }
        if (!reader.intact()) {
          reader.disown(false);
          continue;
        }
        const found = numberIn(reader, offset);
        assert.ok(found >= expected[who]!);
        expected[who] = found + 1;
        assert.equal(counts[RECEIVED]! + counts[LOST]!, found + 1 - number);
      }
    }
    for (const { reader, counts } of readers) {
      while (reader.next() >= 0) if (!reader.intact()) reader.disown(false);
      assert.equal(counts[RECEIVED]! + counts[LOST]!, next - number);
      assert.ok(counts[LOST]! > 0);
    }
  }
});

test('Broadcast ring: a reader that was stopped while positions came round exactly is not fooled', () => {
  const { settle, reader: subscribe, writer, words } = ring();
  const before = writer();
  for (let i = 0; i < 3; i++) before.write(message(i, 40));
  const { reader, counts } = subscribe('oldest');
  assert.ok(reader.next() >= 0);
  const position = words[TAIL]!;
  settle(position - 8, 1e12 + 1); // the same positions, ever so many messages later
  const after = writer();
  for (let i = 1; i < 4; i++) after.write(message(i, 40));
  assert.equal(reader.intact(), false);
  reader.disown(false);
  const seen: number[] = [];
  for (let offset = reader.next(); offset >= 0; offset = reader.next()) seen.push(numberIn(reader, offset));
  assert.deepEqual(seen, [1, 2, 3]);
  assert.deepEqual([counts[RECEIVED], counts[LOST]], [3, 1e12 + 1]);
});

test('Broadcast ring: what was overwritten while it was read is known afterwards, and counted once', () => {
  const { reader: subscribe, writer: open } = ring();
  const writer = open();
  const { reader, counts } = subscribe('now');
  for (let i = 0; i < 5; i++) writer.write(message(i, 40));
  assert.ok(reader.next() >= 0);
  assert.ok(reader.intact());
  assert.ok(reader.next() >= 0);
  for (let i = 5; i < 200; i++) writer.write(message(i, 40));
  assert.equal(reader.intact(), false);
  reader.disown(true);
  const offset = reader.next();
  const first = numberIn(reader, offset);
  assert.deepEqual([counts[RECEIVED], counts[LOST], counts[OVERTAKEN]], [2, first - 1, 1]);
});

test('Broadcast ring: a length that was overwritten before it was read misleads no reader', () => {
  const { reader: subscribe, writer: open } = ring();
  const writer = open();
  const { reader, counts } = subscribe('now');
  for (const length of [0, 600, 1712]) writer.write(new Uint8Array(length)); // at 0, 1 and 40
  assert.ok(reader.next() >= 0);
  writer.write(new Uint8Array(1712)); // gives up what is before 40
  writer.write(Uint8Array.of(0xff)); // over the lowest byte of the length at 1
  assert.ok(reader.next() >= 0);
  assert.equal(reader.intact(), false);
  reader.disown(false);
  const lengths: number[] = [];
  while (reader.next() >= 0) {
    assert.ok(reader.intact());
    lengths.push(reader.length);
  }
  assert.deepEqual(lengths, [1712, 1712, 1]);
  assert.deepEqual([counts[RECEIVED], counts[LOST]], [4, 1]);
});

test('Broadcast ring: the oldest is where a record begins, and no more is given up than must be, and a tenth of the ring', () => {
  let seed = 3;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  const longest = longestMessage(capacity);
  const lengths = [
    () => random(longest + 1),
    () => random(100),
    () => (random(2) === 0 ? 0 : longest - random(3)),
    () => (random(10) > 0 ? random(40) : random(longest + 1)),
    () => [0, 2000, 1500][random(3)]!,
  ];
  for (let trial = 0; trial < 200; trial++) {
    const base = [0, 2 ** 31 - random(1000), 2 ** 32 - random(1000), random(2 ** 32)][trial & 3]!;
    const lengthOf = lengths[trial % lengths.length]!;
    const { buffer, words, index, writer: open } = ring(base);
    let writer = open();
    let tail = base;
    /** What is there, from the oldest on. */
    let records: { position: number; length: number; kind: number; sequence: number; tag: number }[] = [];
    const put = (length: number, kind: number, sequence: number, tag: number) => {
      records.push({ position: tail, length, kind, sequence, tag });
      tail += unitsOf(length);
    };
    for (let number = 0; number < 300; number++) {
      if (random(20) === 0) writer = open();
      const reserved = lengthOf();
      const at = tail & (units - 1);
      const pad = at + unitsOf(reserved) > units ? units - at : 0;
      const offset = writer.reserve(reserved);
      const used = (tail - words[OLDEST]!) >>> 0;
      const need = pad + unitsOf(reserved) + 1;
      assert.ok(units - used >= need);
      const kept = records.filter(({ position }) => tail - position <= used);
      if (kept.length < records.length) {
        const enough = records.find(({ position }) => tail - position <= units - need - units / 10);
        assert.ok(enough === undefined || tail - enough.position <= used, `${used} of ${units} units kept`);
      }
      records = kept;
      assert.equal(records[0]?.position ?? tail, tail - used);
      new Uint8Array(buffer).fill(0xdd, offset, offset + reserved);
      if (random(10) > 0) {
        const length = random(3) === 0 ? random(reserved + 1) : reserved;
        new Uint8Array(buffer).fill(number, offset, offset + length);
        writer.commit(length);
        const sequence = (records.at(-1)?.sequence ?? words[index(tail) + SEQUENCE_LOW]! - 1) + 1;
        if (pad > 0) put((pad << 4) - 16, PAD, sequence, 0);
        put(length, MESSAGE, sequence, number & 255);
      }
      assert.equal(words[TAIL], tail | 0);
      for (const { position, length, kind, sequence, tag } of records) {
        const from = index(position);
        assert.deepEqual(
          [words[from + LENGTH], words[from + KIND], words[from + SEQUENCE_LOW]],
          [length, kind, sequence],
        );
        const payload = new Uint8Array(buffer, (from << 2) + 16, length);
        assert.ok(kind === PAD || payload.every((byte) => byte === tag));
      }
    }
  }
});

test('Broadcast ring: a writer that is killed at any step leaves a ring that the next one continues', () => {
  // Every store of a publication, made visible one by one in the order in which they are made.
  const { buffer, reader: subscribe, writer: open, words } = ring();
  const writer = open();
  const { reader, counts } = subscribe('now');
  let published = 0;
  for (; published < 100; published++) writer.write(message(published, (published * 56) % 700));
  for (let length = 0; length < longestMessage(capacity); length += 40) {
    const before = new Int32Array(buffer.slice(0));
    new RingWriter(buffer, capacity).write(message(published, Math.min(length, longestMessage(capacity) - 8)));
    const after = new Int32Array(buffer.slice(0));
    // In order: oldest, then everything else in any order, then tail.
    const changed = [...after.keys()].filter((i) => after[i] !== before[i] && i !== OLDEST && i !== TAIL);
    const steps = [OLDEST, ...changed, TAIL];
    words.set(before);
    const stop = (length / 40) % steps.length;
    for (const at of [stop, Math.floor(steps.length / 2), steps.length - 1, steps.length]) {
      words.set(before);
      for (const i of steps.slice(0, at)) words[i] = after[i]!;
      const there = at === steps.length ? published + 1 : published;
      open().write(message(there, 8));
      const copy = new Int32Array(buffer.slice(0));
      const probe = new RingReader(
        { buffer: copy.buffer, check() {}, unmap() {} },
        capacity,
        new Float64Array(4),
        'oldest',
      );
      let last = -1;
      for (let offset = probe.next(); offset >= 0; offset = probe.next()) last = numberIn(probe, offset);
      assert.equal(last, there);
    }
    published += 2;
    while (reader.next() >= 0);
    assert.equal(counts[RECEIVED]! + counts[LOST]!, published);
  }
});

test('Broadcast ring: words that cannot be are a CorruptError or a loss, never a record out of bounds', () => {
  let seed = 7;
  const random = (n: number) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % n;
  const values = [0, 1, -1, 7, 0x7fffffff, -0x80000000, units, units - 1, capacity, capacity * 2];
  const outcomes = { fine: 0, corrupt: 0 };
  for (let trial = 0; trial < 10_000; trial++) {
    const { words, index, reader: subscribe, writer: open } = ring(random(2 ** 32), random(1000));
    const writer = open();
    const { reader } = subscribe('oldest');
    const spoil = () => {
      const at = index(random(units));
      const where = [TAIL, OLDEST, at + LENGTH, at + KIND, at + SEQUENCE_LOW, at + SEQUENCE_HIGH][random(6)]!;
      words[where] = random(2) === 0 ? random(2 ** 32) : values[random(values.length)]!;
    };
    try {
      for (let i = 0; i < 12; i++) {
        if (random(3) === 0) spoil();
        for (let some = random(10); some > 0; some--) writer.write(message(i, random(400)));
        if (random(3) === 0) spoil();
        for (let some = random(10); some > 0; some--) {
          const offset = reader.next();
          if (offset < 0) break;
          assert.ok(offset >= DATA + 16 && reader.length >= 0 && offset + reader.length <= DATA + capacity);
          if (!reader.intact()) reader.disown(false);
        }
        if (random(5) === 0) open();
      }
      outcomes.fine++;
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'ERR_VECINO_CORRUPT', String((error as Error).stack));
      outcomes.corrupt++;
    }
  }
  assert.ok(outcomes.fine > 0 && outcomes.corrupt > 0, JSON.stringify(outcomes));
});

/** Received bytes that share memory. */
import '../../support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coderOf } from '#src/channel/codec/index.js';
import { MAX_POOLED_BYTES, POOL_BYTES } from '#src/channel/codec/pool.js';

const memory = new Uint8Array(2 * MAX_POOLED_BYTES);
function decode(length: number, filledWith: number): Uint8Array {
  memory.fill(filledWith, 3, 3 + length);
  return coder.decode(memory, 3, length);
}
const coder = coderOf<Uint8Array>('bytes');

test('Codec bytes: copies that share memory never overlap, begin at multiples of 8 bytes, and are exactly as long as what was sent', () => {
  const copies: Uint8Array[] = [];
  for (let length = 0; length <= MAX_POOLED_BYTES + 1; length += length < 300 ? 1 : 97)
    copies.push(decode(length, copies.length));
  for (const [index, copy] of copies.entries()) {
    assert.equal(copy.constructor, Uint8Array);
    assert.equal(copy.byteOffset % 8, 0);
    assert.ok(copy.every((byte) => byte === (index & 0xff)));
    copy.fill(0xaa); // each is the caller's to change
  }
  assert.equal(new Set(copies.map(({ length }) => length)).size, copies.length);
  assert.ok(copies.every((copy) => copy.every((byte) => byte === 0xaa)));
});
test('Codec bytes: one copy that is kept keeps 32 KiB from being freed, and a long one only itself', () => {
  for (const length of [65, 1024, MAX_POOLED_BYTES]) assert.ok(decode(length, 1).buffer.byteLength <= POOL_BYTES);
  for (const length of [MAX_POOLED_BYTES + 1, 2 * MAX_POOLED_BYTES - 3])
    assert.equal(decode(length, 1).buffer.byteLength, length);
});
test('Codec bytes: who transfers one copy takes no other along', () => {
  const [one, other] = [decode(100, 1), decode(100, 2)];
  assert.equal(one.buffer, other.buffer);
  try {
    structuredClone(one, { transfer: [one.buffer as ArrayBuffer] });
  } catch (error) {
    assert.equal((error as Error).name, 'DataCloneError'); // from Node 21 on; before, it is copied
  }
  assert.deepEqual([one.length, one[0], other.length, other[99]], [100, 1, 100, 2]);
  assert.equal(structuredClone(one.slice(), {}).length, 100);
});
test('Codec bytes: bytes go on arriving whatever somebody does to the memory of those before', () => {
  const { buffer } = decode(100, 1) as { buffer: ArrayBufferLike & { transfer?(): ArrayBuffer } };
  try {
    buffer.transfer?.(); // from Node 21 on; some later ones refuse it
  } catch (error) {
    assert.ok(error instanceof TypeError);
  }
  const next = decode(100, 2);
  assert.deepEqual([next.length, next[0], next[99]], [100, 2, 2]);
});

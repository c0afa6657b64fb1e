/** Checks of callers' arguments, made before any system call. */
import { types } from 'node:util';
import { invalidArgument } from './errors.js';

const { isUint8Array } = types;

/** A whole number within `[min, max]`. */
export function checkInteger(
  argument: string,
  value: unknown,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number') throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'a number', value);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw invalidArgument('ERR_OUT_OF_RANGE', argument, `a whole number from ${min} to ${max}`, value);
  }
  return value;
}
/** Bits for a system call: the kernel checks which it supports. */
export function checkFlags(argument: string, value: unknown): number {
  return checkInteger(argument, value, -0x80000000, 0xffffffff) | 0;
}
/** A descriptor number. */
export function checkDescriptor(argument: string, value: unknown): number {
  return checkInteger(argument, value, 0, 0x7fffffff);
}
/** Permission bits, `0` to `0o7777`. */
export function checkMode(argument: string, value: unknown): number {
  return checkInteger(argument, value, 0, 0o7777);
}

const NAME = /^[A-Za-z0-9._-]{1,200}$/;
/** The name of a kernel object, `[A-Za-z0-9._-]{1,200}`; one leading `/` is dropped. */
export function checkName(argument: string, value: unknown): string {
  if (typeof value !== 'string') throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'a string', value);
  const name = value.startsWith('/') ? value.slice(1) : value;
  if (!NAME.test(name) || name === '.' || name === '..') {
    const expected = "a name of 1 to 200 of the characters A-Z a-z 0-9 . _ - (one leading '/' is allowed), not . or ..";
    throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, expected, value);
  }
  return name;
}
/** A path for the file system: a string, not empty, without NUL. */
export function checkPath(argument: string, value: unknown): string {
  if (typeof value !== 'string') throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'a string', value);
  if (value === '' || value.includes('\0')) {
    throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, 'a path that is not empty and has no NUL byte', value);
  }
  return value;
}
/** Bytes to send: a `Uint8Array` (a `Buffer` is one) whose memory was neither transferred nor resized below its end. */
export function checkBytes(argument: string, value: unknown): Uint8Array {
  if (!isUint8Array(value)) {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'a Uint8Array', value);
  }
  if (value.byteLength === 0 && isDetached(value)) {
    const expected = 'a Uint8Array whose buffer is neither detached nor shrunk to less than it';
    throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, expected, value);
  }
  return value;
}
const { keys } = Uint8Array.prototype;
/** True also for a view of a resizable buffer that has become smaller than the view: it has no bytes, but is not an empty view. */
function isDetached(view: Uint8Array): boolean {
  try {
    keys.call(view);
    return false;
  } catch {
    return true;
  }
}
/** Exactly `true` or `false`. */
export function checkBoolean(argument: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'a boolean', value);
}
/** All names of the options of `T`: leaving one out, or adding another, does not compile. */
export type OptionNames<T> = { readonly [Name in keyof T]-?: true };
/** An object with known options, or nothing. An unknown name is refused as a spelling mistake. */
export function checkOptions<T extends object>(
  argument: string,
  value: T | undefined,
  names: Readonly<Record<string, true>>,
): T | undefined {
  if (value === undefined) return value;
  if (typeof value !== 'object' || value === null) {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'an object', value);
  }
  for (const name in value) if (names[name] !== true) refuseOption(argument, value, name, names);
  return value;
}
function refuseOption(argument: string, value: object, name: string, names: Readonly<Record<string, true>>): void {
  if (!Object.hasOwn(value, name)) return; // of a prototype, which may have any properties
  const all = Object.keys(names);
  const nearest = nearestName(name, all);
  const meant = nearest === undefined ? '' : ` Did you mean '${nearest}'?`;
  const message = `${argument}.${name} does not exist.${meant} There are: ${all.join(', ')}`;
  throw Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_VALUE' });
}
/** The name with the smallest edit distance, if that is small. */
function nearestName(name: string, names: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  const [best] = names
    .map((each) => ({ each, distance: editDistance(wanted, each.toLowerCase()) }))
    .filter(({ each, distance }) => distance <= Math.max(2, each.length / 3))
    .sort((a, b) => a.distance - b.distance);
  return best?.each;
}
/** Letters to remove, insert or replace to turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
/** A word for a futex. */
export function checkWord(words: Int32Array, index: number): void {
  if (!(words instanceof Int32Array)) throw invalidArgument('ERR_INVALID_ARG_TYPE', 'words', 'an Int32Array', words);
  checkInteger('index', index, 0, words.length - 1);
}

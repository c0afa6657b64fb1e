/** Signals by name and number, and which of them a program may receive. */
import { constants as os } from 'node:os';
import { invalidArgument } from '../system/errors.js';
import { constants } from '../system/native.js';

/** `'SIGUSR1'`; real-time signals count from either end: `'SIGRTMIN'`, `'SIGRTMIN+3'`, `'SIGRTMAX-1'`. */
export type SignalName = NodeJS.Signals | 'SIGRTMIN' | 'SIGRTMAX' | `SIGRTMIN+${number}` | `SIGRTMAX-${number}`;

const RTMIN = constants['SIGRTMIN']!;
const RTMAX = constants['SIGRTMAX']!;
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ...Object.entries(os.signals),
  ['SIGRTMIN', RTMIN],
  ['SIGRTMAX', RTMAX],
]);
const REALTIME = /^SIGRT(?:MIN\+|MAX-)(\d{1,2})$/;

/** A checked signal. */
export interface Signal {
  /** The caller's name for it; the usual name if the caller gave a number. */
  name: SignalName;
  number: number;
}

/** A name or a number from 1 to SIGRTMAX. */
export function parseSignal(argument: string, value: unknown): Signal {
  if (typeof value === 'number') return { name: nameOf(argument, value), number: value };
  if (typeof value !== 'string') {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'the name or number of a signal', value);
  }
  const steps = REALTIME.exec(value)?.[1];
  const number =
    steps === undefined
      ? NUMBERS.get(value)
      : value.startsWith('SIGRTMIN')
        ? RTMIN + Number(steps)
        : RTMAX - Number(steps);
  if (number === undefined || (steps !== undefined && (number < RTMIN || number > RTMAX))) {
    const expected = `the name of a signal, such as SIGUSR1 or SIGRTMIN+3 (SIGRTMIN is ${RTMIN} here and SIGRTMAX ${RTMAX})`;
    throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, expected, value);
  }
  return { name: value as SignalName, number };
}
function nameOf(argument: string, number: number): SignalName {
  if (!Number.isInteger(number) || number < 1 || number > RTMAX) {
    throw invalidArgument('ERR_OUT_OF_RANGE', argument, `the number of a signal, from 1 to ${RTMAX}`, number);
  }
  if (number >= RTMIN) return number === RTMIN ? 'SIGRTMIN' : `SIGRTMIN+${number - RTMIN}`;
  for (const [name, known] of NUMBERS) if (known === number) return name as SignalName;
  throw invalidArgument(
    'ERR_INVALID_ARG_VALUE',
    argument,
    'a signal that the C library does not reserve for itself',
    number,
  );
}

const FAULT = 'the kernel sends it to a thread for a fault of its own; V8 and vecino have their own handlers for it';
const KERNEL = 'no process can catch, block or ignore it';
const REFUSED: ReadonlyMap<number, string> = new Map([
  ...['SIGKILL', 'SIGSTOP'].map((name) => [NUMBERS.get(name)!, KERNEL] as const),
  ...['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGTRAP', 'SIGSYS'].map((name) => [NUMBERS.get(name)!, FAULT] as const),
  [RTMAX - 2, 'vecino uses it to interrupt blocking system calls'],
  [NUMBERS.get('SIGSTKFLT') ?? RTMAX - 3, 'vecino uses it to change the signal masks of threads'],
]);

/** A signal that may be received, blocked and ignored. */
export function parseCatchable(argument: string, value: unknown): Signal {
  const signal = parseSignal(argument, value);
  const why = REFUSED.get(signal.number);
  if (why !== undefined) {
    throw invalidArgument(
      'ERR_INVALID_ARG_VALUE',
      argument,
      `a signal that can be received (${signal.name} cannot: ${why})`,
      value,
    );
  }
  return signal;
}
/** One or several signals, at least one; each number once. */
export function parseSet(argument: string, value: unknown): Map<number, SignalName> {
  const list = typeof value === 'string' || typeof value === 'number' ? [value] : value;
  if (typeof list !== 'object' || list === null || typeof (list as Iterable<unknown>)[Symbol.iterator] !== 'function') {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'a signal or a list of signals', value);
  }
  const set = new Map<number, SignalName>();
  for (const each of list as Iterable<unknown>) {
    const { name, number } = parseCatchable(argument, each);
    if (!set.has(number)) set.set(number, name);
  }
  if (set.size === 0) throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, 'at least one signal', value);
  return set;
}
/** The set as the kernel has it. */
export function maskOf(numbers: Iterable<number>): BigUint64Array {
  let mask = 0n;
  for (const number of numbers) mask |= 1n << BigInt(number - 1);
  return new BigUint64Array([mask]);
}

/** What the calls of a queue are given, and what its `stats()` give. */
import { checkInteger, checkOptions, type OptionNames } from '../../system/arguments.js';
import { WAIT_OPTIONS, type WaitOptions } from '../../system/deadline.js';
import { invalidArgument } from '../../system/errors.js';
import type { Types } from './waiting.js';

/** How a message is sent. */
export interface QueueSendOptions {
  /** 0 (the default) to `priorities - 1`; higher ones are delivered first. */
  priority?: number;
  /** A number from 0 (the default) to 2³¹ - 1 by which consumers may choose. */
  type?: number;
}
/** Which messages are received. */
export interface QueueReceiveOptions {
  /** Only messages of these types; without it, of all. */
  types?: readonly number[];
}
export const SEND_OPTIONS: OptionNames<QueueSendOptions & WaitOptions> = {
  priority: true,
  type: true,
  ...WAIT_OPTIONS,
};
export const RECEIVE_OPTIONS: OptionNames<QueueReceiveOptions & WaitOptions> = { types: true, ...WAIT_OPTIONS };
/** What is in a queue. */
export interface QueueStats {
  /** Messages that can be received. */
  ready: number;
  /** Messages that were received and neither acknowledged nor rejected. */
  inFlight: number;
  /** Messages that it holds, ready or in flight. */
  capacity: number;
  /** Bytes that an encoded message may have. */
  messageSize: number;
  /** How many priorities it knows: 0 to `priorities - 1`. */
  priorities: number;
  /** What this object did: `recovered` are messages of dead consumers that it has given back. */
  sent: number;
  /** Messages that this object received. */
  received: number;
  /** Messages that this object acknowledged. */
  acknowledged: number;
  /** Messages that this object rejected. */
  returned: number;
  /** Messages of dead consumers that this object has given back. */
  recovered: number;
}
const LARGEST_TYPE = 0x7fffffff;

/** The type that a message is sent with. */
export function typeOf(options: QueueSendOptions | undefined): number {
  if (options === undefined) return 0;
  const { type } = checkOptions('options', options, SEND_OPTIONS)!;
  return type === undefined ? 0 : checkInteger('options.type', type, 0, LARGEST_TYPE);
}
/** The types that are to be received; undefined: all. */
export function typesOf(options: QueueReceiveOptions | undefined): Types {
  if (options === undefined) return undefined;
  const { types } = checkOptions('options', options, RECEIVE_OPTIONS)!;
  if (types === undefined) return undefined;
  if (!Array.isArray(types) || types.length === 0)
    throw invalidArgument('ERR_INVALID_ARG_TYPE', 'options.types', 'an array of at least one number', types);
  return types.map((type, index) => checkInteger(`options.types[${index}]`, type, 0, LARGEST_TYPE));
}

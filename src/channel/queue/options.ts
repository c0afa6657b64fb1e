/** Options of a queue's calls, and the result of its `stats()`. */
import { checkInteger, checkOptions, type OptionNames } from '../../system/arguments.js';
import { WAIT_OPTIONS, type WaitOptions } from '../../system/deadline.js';
import { invalidArgument } from '../../system/errors.js';
import type { Types } from './attempts.js';

/** Options for sending a message. */
export interface QueueSendOptions {
  /** 0 (the default) to `priorities - 1`; higher ones are delivered first. */
  priority?: number;
  /** A number from 0 (the default) to 2³¹ - 1, by which consumers can select messages. */
  type?: number;
}
/** Options for receiving a message. */
export interface QueueReceiveOptions {
  /** Receive only messages of these types. Default: all types. */
  types?: readonly number[];
}
export const SEND_OPTIONS: OptionNames<QueueSendOptions & WaitOptions> = {
  priority: true,
  type: true,
  ...WAIT_OPTIONS,
};
export const RECEIVE_OPTIONS: OptionNames<QueueReceiveOptions & WaitOptions> = { types: true, ...WAIT_OPTIONS };
/** The state of a queue, and the counters of one object. */
export interface QueueStats {
  /** Messages that can be received. */
  ready: number;
  /** Messages that were received and not settled yet. */
  inFlight: number;
  /** Messages that it holds, ready or in flight. */
  capacity: number;
  /** The most bytes of an encoded message. */
  messageSize: number;
  /** Levels of priority: 0 to `priorities - 1`. */
  priorities: number;
  /** Messages that this object sent. */
  sent: number;
  /** Messages that this object received. */
  received: number;
  /** Messages that this object acknowledged. */
  acknowledged: number;
  /** Messages that this object rejected. */
  returned: number;
  /** Messages of dead consumers that this object returned to the queue. */
  recovered: number;
}
const MAX_TYPE = 0x7fffffff;

/** The type that a message is sent with. */
export function typeOf(options: QueueSendOptions | undefined): number {
  if (options === undefined) return 0;
  const { type } = checkOptions('options', options, SEND_OPTIONS)!;
  return type === undefined ? 0 : checkInteger('options.type', type, 0, MAX_TYPE);
}
/** The types to receive; undefined: all. */
export function typesOf(options: QueueReceiveOptions | undefined): Types {
  if (options === undefined) return undefined;
  const { types } = checkOptions('options', options, RECEIVE_OPTIONS)!;
  if (types === undefined) return undefined;
  if (!Array.isArray(types) || types.length === 0)
    throw invalidArgument('ERR_INVALID_ARG_TYPE', 'options.types', 'an array of at least one number', types);
  return types.map((type, index) => checkInteger(`options.types[${index}]`, type, 0, MAX_TYPE));
}

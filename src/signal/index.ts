/**
 * Signals with their sender and a value.
 *
 * @module vecino/signal
 */
export type { SignalCode, SignalInfo } from './info.js';
export type { SignalName } from './names.js';
export { type SignalNames, type SignalSubscription, signals } from './signals.js';

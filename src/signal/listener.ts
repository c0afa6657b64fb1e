/**
 * This thread's end of the signals that native/signal_listen.c receives: handlers, waits, and the two descriptors that the event loop
 * watches for them. They exist while this thread has a listener.
 */

import type { Deadline } from '../system/deadline.js';
import { EEXIST, EINTR } from '../system/errno.js';
import { check, SystemError } from '../system/errors.js';
import { close, dup } from '../system/file.js';
import { type KeepAlive, program } from '../system/keep-alive.js';
import { constants, type NativeWatch, native } from '../system/native.js';
import { READABLE } from '../system/readiness.js';
import { decodeRecord, RECORD, type SignalInfo } from './info.js';
import { maskOf, type SignalName } from './names.js';

export interface Subscription {
  readonly name: SignalName;
  readonly handler: (info: SignalInfo) => void;
  /** Refers to the event loop while it waits. */
  readonly keepAlive: KeepAlive;
}
interface Wait {
  readonly id: number;
  readonly set: ReadonlyMap<number, SignalName>;
  settle(info: SignalInfo): void;
}

/** The most signals fetched from the addon at once, and in one turn of the event loop. */
const MAX_SIGNALS_PER_FETCH = 64;
const MAX_SIGNALS_PER_TURN = 1024;
const POLLIN = constants['POLLIN']!;

const handlers = new Map<number, Set<Subscription>>();
const waits = new Set<Wait>();
const descriptors = new Int32Array(2);
const records = new Int32Array(MAX_SIGNALS_PER_FETCH * RECORD);
let watches: NativeWatch[] = [];
const spares: number[] = [];
let blockingWaits = 0;
let open = false;

function hold(): void {
  if (open) return;
  check(native.signalListen(descriptors), 'signalfd', {
    hint: 'Receiving signals needs three file descriptors, a thread and /proc',
  });
  open = true;
  for (const fd of descriptors) {
    let watch = native.watchOpen(fd, pump);
    if (watch === EEXIST) {
      // Another copy of this package watches it in this loop.
      spares.push(dup(fd));
      watch = native.watchOpen(spares.at(-1)!, pump);
    }
    if (typeof watch === 'number') {
      letGo();
      throw new SystemError(watch, 'uv_poll_init', { path: `fd ${fd}` });
    }
    watches.push(watch);
    native.watchKeepAlive(watch, false);
    native.watchStart(watch, READABLE);
  }
}
function letGo(): void {
  if (!open || handlers.size > 0 || waits.size > 0 || blockingWaits > 0) return;
  open = false;
  for (const watch of watches) native.watchClose(watch);
  watches = [];
  for (const fd of spares.splice(0)) close(fd);
  native.signalUnlisten();
}

function pump(): void {
  for (let taken = 0; open && taken < MAX_SIGNALS_PER_TURN; ) {
    const count = native.signalTake(records);
    // Decode all of them before the first handler runs, because a handler may call this function again.
    const infos = Array.from({ length: Math.max(count, 0) }, (_, index) => decodeRecord(records, index));
    for (const info of infos) dispatch(info);
    if (count < MAX_SIGNALS_PER_FETCH) break;
    taken += count;
  }
  const record = new Int32Array(RECORD);
  for (const wait of waits) {
    if (native.signalWaitTake(wait.id, record, false) === 1) wait.settle(named(decodeRecord(record, 0), wait.set));
  }
}
function dispatch(info: Omit<SignalInfo, 'name'>): void {
  const set = handlers.get(info.number);
  for (const subscription of set === undefined ? [] : [...set]) {
    if (!set?.has(subscription)) continue; // an earlier handler has ended it
    try {
      subscription.handler({ name: subscription.name, ...info });
    } catch (error) {
      // Uncaught, as from any listener; the other handlers and signals still get their turn.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
function named(info: Omit<SignalInfo, 'name'>, set: ReadonlyMap<number, SignalName>): SignalInfo {
  return { name: set.get(info.number)!, ...info };
}

export function subscribe(number: number, subscription: Subscription): void {
  hold();
  let set = handlers.get(number);
  if (set === undefined) {
    check(native.signalHandle(number, true), 'signalfd', { path: subscription.name });
    handlers.set(number, (set = new Set()));
  }
  set.add(subscription);
  subscription.keepAlive.begin();
}
export function unsubscribe(number: number, subscription: Subscription): void {
  const set = handlers.get(number);
  if (!set?.delete(subscription)) return;
  subscription.keepAlive.end();
  if (set.size === 0) unsubscribeAll(number);
}
export function unsubscribeAll(number: number): void {
  const set = handlers.get(number);
  if (set === undefined) return;
  for (const { keepAlive } of set) keepAlive.end();
  set.clear();
  handlers.delete(number);
  native.signalHandle(number, false);
  letGo();
}

export function tryWait(set: ReadonlyMap<number, SignalName>): SignalInfo | undefined {
  const record = new Int32Array(RECORD);
  return native.signalTryWait(maskOf(set.keys()), record) === 1 ? named(decodeRecord(record, 0), set) : undefined;
}
export function wait(set: ReadonlyMap<number, SignalName>, deadline: Deadline): Promise<SignalInfo> {
  return new Promise((resolve, reject) => {
    if (deadline.signal?.aborted) return reject(deadline.signal.reason);
    hold();
    const id = native.signalWait(maskOf(set.keys()));
    if (id < 0) {
      letGo();
      throw new SystemError(id, 'rt_sigtimedwait');
    }
    const leave = (): Int32Array | undefined => {
      const record = new Int32Array(RECORD);
      callOff();
      waits.delete(entry);
      const filled = native.signalWaitEnd(id, record) === 1;
      program.end();
      letGo();
      return filled ? record : undefined;
    };
    const entry: Wait = {
      id,
      set,
      settle: (info) => {
        leave();
        resolve(info);
      },
    };
    const callOff = deadline.onEnd((error) => {
      const record = leave();
      // The signal came at this very moment, and was fetched for us.
      if (record !== undefined) resolve(named(decodeRecord(record, 0), set));
      else reject(error);
    });
    waits.add(entry);
    program.begin();
  });
}
export function waitSync(set: ReadonlyMap<number, SignalName>, deadline: Deadline): SignalInfo {
  hold();
  blockingWaits++;
  const record = new Int32Array(RECORD);
  const id = native.signalWait(maskOf(set.keys()));
  const entries = Int32Array.of(descriptors[0]!, POLLIN, descriptors[1]!, POLLIN);
  try {
    check(id, 'rt_sigtimedwait');
    while (check(native.signalWaitTake(id, record, true), 'rt_sigtimedwait') === 0) {
      const result = native.poll(entries, deadline.block());
      if (result !== EINTR) check(result, 'poll');
    }
  } catch (error) {
    if (id < 0 || native.signalWaitEnd(id, record) !== 1) throw error;
    return named(decodeRecord(record, 0), set);
  } finally {
    blockingWaits--;
    letGo();
  }
  native.signalWaitEnd(id, record);
  return named(decodeRecord(record, 0), set);
}

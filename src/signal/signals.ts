/** Signals, with what the kernel reports about each: see signal(7), sigaction(2), sigqueue(3), sigwaitinfo(2). */
import { AsyncResource } from 'node:async_hooks';
import { checkInteger } from '../system/arguments.js';
import { mayGoOn, nextTurn } from '../system/cooperative-budget.js';
import { Deadline, type SyncWaitOptions, type WaitOptions } from '../system/deadline.js';
import { check, errnoName, invalidArgument } from '../system/errors.js';
import { KeepAlive } from '../system/keep-alive.js';
import { native } from '../system/native.js';
import { kill, sigqueue } from '../system/signal.js';
import type { SignalInfo } from './info.js';
import * as listener from './listener.js';
import { maskOf, parseCatchable, parseSet, parseSignal, type SignalName } from './names.js';

/** One signal or several, by name or number. */
export type SignalNames = SignalName | number | Iterable<SignalName | number>;

/** A subscription of a handler. Closing it twice does no harm. */
export interface SignalSubscription extends Disposable {
  /** Ends it: the handler is not called again. When the last subscription of the process ends, the signal has its former action again. */
  close(): void;
  /** From now on the subscription keeps the program running until it ends. */
  ref(): this;
  /** The subscription does not keep the program running. This is the default. */
  unref(): this;
}

/**
 * Calls `handler` for each of these signals, until the subscription ends. Real-time signals are delivered one by one, in the order in which
 * they were sent. Standard signals are merged: if one is sent again before the first was delivered, you get one.
 *
 * Every thread that subscribes gets every signal. So do Node's own listeners (`process.on`, child processes), and other copies of this
 * package in the process. The handler runs in the async context (`AsyncLocalStorage`) of the call to `on`. A subscription does not keep the
 * program running, unless you call its `ref()`. When the last one in the process ends, the signal has its former action again.
 *
 * Refused with `ERR_INVALID_ARG_VALUE`: SIGKILL and SIGSTOP; faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS); SIGSTKFLT and
 * SIGRTMAX-2, which vecino uses. While you subscribe to SIGPROF, V8's profiler gets few samples.
 *
 * @example
 * ```ts
 * import { signals } from 'vecino';
 *
 * const subscription = signals.on('SIGRTMIN+3', ({ pid, code, value }) => {
 *   console.log(pid === process.pid, code, value); // true SI_QUEUE 42
 *   subscription.close();
 * });
 * signals.send(process.pid, 'SIGRTMIN+3', 42);
 * await new Promise((resolve) => setTimeout(resolve, 100));
 * ```
 */
function on(name: SignalName | number, handler: (info: SignalInfo) => void): SignalSubscription {
  const signal = parseCatchable('name', name);
  if (typeof handler !== 'function') throw invalidArgument('ERR_INVALID_ARG_TYPE', 'handler', 'a function', handler);
  // It is called from the event loop, in the async context (AsyncLocalStorage) of this call, as Node's own listeners are.
  const keepAlive = new KeepAlive(false);
  const subscription = { name: signal.name, handler: AsyncResource.bind(handler), keepAlive };
  listener.subscribe(signal.number, subscription);
  const close = () => listener.unsubscribe(signal.number, subscription);
  return {
    close,
    ref() {
      keepAlive.ref();
      return this;
    },
    unref() {
      keepAlive.unref();
      return this;
    },
    [Symbol.dispose]: close,
  };
}

/**
 * Sends a signal to one process: with kill(2), or with sigqueue(3) if there is a value (32 bits, signed). Never waits.
 *
 * Signal 0 is the null signal of POSIX: nothing is sent, and the errors say whether the process exists (also after its end, until its
 * parent has waited for it) and whether you have permission to signal it.
 *
 * @throws SystemError `ESRCH`: no such process. `EPERM`: no permission. `EAGAIN`: a signal with a value does not fit into the receiver's
 * queue. (A real-time signal without a value that does not fit is silently merged with another one.)
 */
function send(pid: number, name: SignalName | number, value?: number): void {
  if (typeof pid === 'number' && !(Number.isInteger(pid) && pid > 0 && pid <= 0x7fffffff)) {
    const expected = 'the id of one process (0 and negative numbers are groups: use signals.sendToGroup)';
    throw invalidArgument('ERR_OUT_OF_RANGE', 'pid', expected, pid);
  }
  checkInteger('pid', pid, 1);
  const number = name === 0 ? 0 : parseSignal('name', name).number;
  if (value === undefined) kill(pid, number);
  else sigqueue(pid, number, checkInteger('value', value, -0x80000000, 0x7fffffff));
}
/**
 * Sends a signal to every process of a group that you have permission to signal. Groups are 2 and up: `kill` takes 1 to mean all processes.
 */
function sendToGroup(group: number, name: SignalName | number): void {
  checkInteger('group', group, 2, 0x7fffffff);
  kill(-group, name === 0 ? 0 : parseSignal('name', name).number);
}

/**
 * Resolves with the next of these signals. Handlers for it are called too, unless the signal is blocked. With several waits in this thread,
 * each signal ends one of them, the oldest. A pending wait keeps the program running.
 *
 * Before and after the wait a signal has its usual action, which may end the process. {@link block} it first: then a signal that comes
 * between two waits is kept for the next one.
 *
 * @example
 * ```ts
 * import { signals } from 'vecino';
 *
 * signals.block('SIGUSR1');
 * signals.send(process.pid, 'SIGUSR1');
 * const { pid } = await signals.wait('SIGUSR1', { timeout: 1000 });
 * console.log(pid === process.pid); // true
 * ```
 */
async function wait(names: SignalNames, options?: WaitOptions): Promise<SignalInfo> {
  const set = parseSet('names', names);
  const deadline = new Deadline(`wait for ${[...set.values()].join(', ')}`, options);
  if (deadline.signal?.aborted) throw deadline.signal.reason;
  if (!mayGoOn() && !deadline.expired) {
    await nextTurn();
    if (deadline.signal?.aborted) throw deadline.signal.reason;
  }
  const info = listener.tryWait(set);
  if (info !== undefined) return info;
  if (deadline.expired) throw deadline.error();
  return listener.wait(set, deadline);
}
/** Receives one of these signals if one is pending, which needs a blocked signal; `undefined` if none is. */
function tryWait(names: SignalNames): SignalInfo | undefined {
  return listener.tryWait(parseSet('names', names));
}
/** Blocks the thread until one of these signals comes. See {@link wait}. */
function waitSync(names: SignalNames, options?: SyncWaitOptions): SignalInfo {
  const set = parseSet('names', names);
  const deadline = new Deadline(`wait for ${[...set.values()].join(', ')}`, options);
  if (!deadline.expired) return listener.waitSync(set, deadline);
  const info = listener.tryWait(set);
  if (info === undefined) throw deadline.error();
  return info;
}

/**
 * Ends this thread's subscriptions to the signal and ignores it, for the whole process, unless another thread subscribes. Throws `EBUSY`
 * while Node itself listens to it (`process.on`; SIGCHLD for child processes).
 */
function ignore(name: SignalName | number): void {
  const signal = parseCatchable('name', name);
  const result = native.signalIgnore(signal.number);
  check(result, 'sigaction', {
    path: signal.name,
    hint:
      errnoName(result) === 'EBUSY'
        ? 'Node.js itself handles it (process.on, or SIGCHLD for child processes); remove that listener first'
        : 'Signals cannot be received here',
  });
  listener.unsubscribeAll(signal.number);
}
/** Ends this thread's subscriptions to the signal and {@link ignore}: it has the action again that it had when the program began. */
function reset(name: SignalName | number): void {
  const { number } = parseCatchable('name', name);
  native.signalRestore(number);
  listener.unsubscribeAll(number);
}

/**
 * Keeps these signals pending in the kernel: no handler is called (not even Node's), and no action is taken; {@link wait} receives them.
 * For the whole process, all its threads, until {@link unblock}; calling it twice is the same as once. Child processes do not inherit it.
 */
function block(names: SignalNames): void {
  check(native.signalHold(maskOf(parseSet('names', names).keys()), true), 'rt_sigprocmask');
}
/** Ends {@link block}, from any thread. Pending signals go to the handlers, or have their action. */
function unblock(names: SignalNames): void {
  check(native.signalHold(maskOf(parseSet('names', names).keys()), false), 'rt_sigprocmask');
}

/**
 * Sending signals, and receiving them with the sender's pid and uid, the code and the value.
 * @namespace
 */
export const signals = {
  /**
   * Calls a handler for each of these signals, until the subscription ends.
   * @function
   */
  on,
  /**
   * Sends a signal to a process: kill(2), or sigqueue(3) with a value.
   * @function
   */
  send,
  /**
   * Sends a signal to a process group.
   * @function
   */
  sendToGroup,
  /**
   * Waits for one of these signals.
   * @function
   */
  wait,
  /**
   * Receives a pending signal, if there is one.
   * @function
   */
  tryWait,
  /**
   * Waits for one of these signals and blocks the thread.
   * @function
   */
  waitSync,
  /**
   * Ignores a signal.
   * @function
   */
  ignore,
  /**
   * Restores a signal's original action.
   * @function
   */
  reset,
  /**
   * Keeps these signals pending.
   * @function
   */
  block,
  /**
   * Ends `block`.
   * @function
   */
  unblock,
} as const;

/** Errors of calls, with the details that a caller needs. */
import { ClosedError, IpcError, NotEncodableError, PeerDiedError } from '../../system/errors.js';

/** A thrown value can be anything, even an object that throws when it is read. */
export function reason(cause: unknown): string {
  try {
    return String(cause instanceof Error ? cause.message : cause);
  } catch {
    return 'unknown reason';
  }
}

/** @param what `'the result of add()'` */
export function notEncodable(what: string, codec: string, cause: unknown): IpcError {
  if (cause instanceof NotEncodableError) return elsewhere(cause, cause.path, what);
  const message = `${what} cannot be encoded as ${codec}: ${reason(cause)}`;
  return new IpcError('ERR_VECINO_NOT_ENCODABLE', message, { cause });
}
/** The same for the arguments of a call, which follow the method's name. */
export function argumentNotEncodable(method: string, codec: string, cause: unknown): IpcError {
  if (!(cause instanceof NotEncodableError)) return notEncodable(`the arguments of ${method}()`, codec, cause);
  const path = cause.path.replace(/^value\[(\d+)\]/, (_, index) => `arguments[${index - 1}]`);
  return elsewhere(cause, path, `the call of ${method}()`);
}
function elsewhere(cause: NotEncodableError, path: string, what: string): NotEncodableError {
  return new NotEncodableError(path, `in ${what}${cause.message.slice(cause.path.length)}`, { cause });
}
export function notDecodable(what: string, codec: string, cause: unknown): IpcError {
  const message = `${what} cannot be decoded as ${codec}: ${reason(cause)}`;
  return new IpcError('ERR_VECINO_NOT_DECODABLE', message, { cause });
}
/** A call's error when the connection is over because of `error`. */
export function gone(service: string, error: unknown, method: string): Error {
  const what = `${method}() of service '${service}'`;
  if (error instanceof PeerDiedError) {
    return new PeerDiedError(
      `${what}: the process that served it died, or exited without close(). The call may have been executed or not`,
      { cause: error },
    );
  }
  if (error instanceof ClosedError) return new ClosedError(`${what}: the service`);
  return error instanceof Error ? error : new ClosedError(what);
}
export const cancelled = (): DOMException => new DOMException('The caller cancelled the call', 'AbortError');
export const serviceClosed = (name: string): ClosedError => new ClosedError(`service '${name}'`);

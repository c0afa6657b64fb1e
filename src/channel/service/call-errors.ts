/** The errors of calls that are nobody's fault in particular, with what to know about them. */
import { ClosedError, IpcError, PeerDiedError } from '../../system/errors.js';

/** What was thrown may be anything, also a thing that throws itself when it is looked at. */
function reason(cause: unknown): string {
  try {
    return String(cause instanceof Error ? cause.message : cause);
  } catch {
    return 'for a reason that cannot be told';
  }
}

/** @param what `'the result of add()'` */
export function notEncodable(what: string, codec: string, cause: unknown): IpcError {
  const message = `${what} cannot be encoded as ${codec}: ${reason(cause)}`;
  return new IpcError('ERR_VECINO_NOT_ENCODABLE', message, { cause });
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
      `${what}: the process that served it is gone without closing. The call may have been executed or not`,
      { cause: error },
    );
  }
  if (error instanceof ClosedError) return new ClosedError(`${what}: the service`);
  return error instanceof Error ? error : new ClosedError(what);
}
export const cancelled = (): DOMException => new DOMException('The caller has cancelled the call', 'AbortError');
export const serviceClosed = (name: string): ClosedError => new ClosedError(`service '${name}'`);

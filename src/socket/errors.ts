/** Errors that only sockets have. */
import { errno, IpcError, SystemError } from '../system/errors.js';
import type { SocketMessage } from './message.js';

/**
 * A message came with more descriptors than this process may open (`EMFILE`), and the kernel closed the ones it could not deliver.
 * `received` is the message: its bytes, and the descriptors that did arrive.
 */
export class DescriptorsLostError extends SystemError {
  /** The message, with the descriptors that did arrive. */
  readonly received: SocketMessage;
  constructor(what: string, received: SocketMessage) {
    super(errno['EMFILE']!, 'recvmsg', {
      path: what,
      hint: 'Some descriptors of a message are lost; its bytes and the other descriptors are in `received`. Close descriptors, or raise the limit (ulimit -n)',
    });
    this.received = received;
  }
  static {
    DescriptorsLostError.prototype.name = 'DescriptorsLostError';
  }
}

/** The resolver does not know a host name. `code` is its error: `ENOTFOUND`, or `EAI_AGAIN` if it could not be reached. */
export class HostError extends IpcError {
  /** The resolver's number, negative. */
  readonly errno: number;
  /** What failed: always `getaddrinfo`. */
  readonly syscall = 'getaddrinfo';
  /** The name that was looked up. */
  readonly hostname: string;
  constructor(hostname: string, cause: NodeJS.ErrnoException | { code: string; errno: number }) {
    const code = cause.code ?? 'ENOTFOUND';
    const why = code === 'ENOTFOUND' ? 'no such host' : 'the name could not be resolved';
    super(code, `${code}: ${why}, getaddrinfo '${hostname}'. Check the name, /etc/hosts and /etc/resolv.conf`, {
      cause,
    });
    this.errno = typeof cause.errno === 'number' ? cause.errno : -3008;
    this.hostname = hostname;
  }
  static {
    HostError.prototype.name = 'HostError';
  }
}

/** Puts `bytesSent` on the error that ended a stream's send in the middle: the peer has that many of its bytes. */
export function withBytesSent(error: unknown, bytesSent: number): unknown {
  if (bytesSent === 0) return error;
  if (error instanceof IpcError) return Object.assign(error, { bytesSent });
  return Object.assign(
    new IpcError(
      'ABORT_ERR',
      `the send was aborted after ${bytesSent} of its bytes; the stream is unusable now. Close it`,
      {
        cause: error,
      },
    ),
    { name: 'AbortError', bytesSent },
  );
}

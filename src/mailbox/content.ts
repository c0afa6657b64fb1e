/** What a message is made of. */
import { checkBytes } from '../system/arguments.js';
import { invalidArgument } from '../system/errors.js';

/** Bytes, or text that is sent as UTF-8 (a lone surrogate becomes U+FFFD). */
export type Content = Uint8Array | string;

const { keys } = Uint8Array.prototype;

/** The bytes to send. A view whose memory is gone has no bytes either; it must not pass for an empty message. */
export function toBytes(content: Content): Uint8Array {
  if (typeof content === 'string') return Buffer.from(content);
  checkBytes('content', content);
  if (content.length > 0) return content;
  try {
    keys.call(content); // throws if the buffer is detached, or has shrunk so that the view is outside
  } catch {
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'content', 'a view of memory that is there', 'a detached view');
  }
  return content;
}

/** The content of a message. */
import { checkBytes } from '../system/arguments.js';

/** Bytes, or text that is sent as UTF-8 (a lone surrogate becomes U+FFFD). */
export type Content = Uint8Array | string;

export function toBytes(content: Content): Uint8Array {
  return typeof content === 'string' ? Buffer.from(content) : checkBytes('content', content);
}

/** Addresses of sockets as bytes: sockaddr_un of unix(7), sockaddr_in of ip(7), sockaddr_in6 of ipv6(7). */
import { isIP } from 'node:net';
import { endianness } from 'node:os';
import { checkInteger } from './arguments.js';
import { invalidArgument } from './errors.js';
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    numericAddress(host: string, port: number, out: ArrayBufferView): number;
    addressText(address: ArrayBufferView): string | number;
  }
}
const LITTLE = endianness() === 'LE';
const AF_INET = constants['AF_INET']!;
/** The longest path or abstract name in bytes: sun_path without the NUL before or after. */
const MAX_PATH_BYTES = constants['sizeof_sun_path']! - 1;

/**
 * The address of a path, or of an abstract name: one that begins with `@` (as ss(8) and socat(1) write it) or NUL. Write a file whose name
 * begins with `@` as `./@name`. `'@'` alone, where allowed, lets the kernel choose a name.
 */
export function unixAddress(argument: string, name: unknown, allowUnnamed = false): Uint8Array {
  if (typeof name !== 'string') throw invalidArgument('ERR_INVALID_ARG_TYPE', argument, 'a string', name);
  const abstract = isAbstract(name);
  const text = abstract ? name.slice(1) : name;
  if ((!abstract && text.includes('\0')) || (text === '' && !(abstract && allowUnnamed))) {
    const expected = 'a path without NUL, or @ and an abstract name; neither may be empty';
    throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, expected, name);
  }
  const bytes = Buffer.from(text);
  if (bytes.length > MAX_PATH_BYTES) {
    const expected = `at most ${MAX_PATH_BYTES} bytes long (sun_path of unix(7)), not ${bytes.length}: use a shorter path, one relative to the working directory, or an abstract name ('@name')`;
    throw invalidArgument('ERR_INVALID_ARG_VALUE', argument, expected, name);
  }
  // family, then: path and NUL; NUL and name; nothing.
  const address = new Uint8Array(text === '' ? 2 : 2 + bytes.length + 1);
  new DataView(address.buffer).setUint16(0, constants['AF_UNIX']!, LITTLE);
  if (text !== '') address.set(bytes, abstract ? 3 : 2);
  return address;
}
/** A name in readable form: `@` for the NUL of an abstract one. */
export function shownName(name: string): string {
  return name.startsWith('\0') ? `@${name.slice(1)}` : name;
}
/** Whether a name is abstract, not a file. */
export function isAbstract(name: string): boolean {
  return name.startsWith('@') || name.startsWith('\0');
}
/** The path or `@name` of an address; undefined for a socket without a name. */
export function unixName(address: Uint8Array): string | undefined {
  if (address.length <= 2) return undefined;
  const bytes = Buffer.from(address.buffer, address.byteOffset + 2, address.length - 2);
  if (bytes[0] === 0) return `@${bytes.toString('utf8', 1)}`;
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

/** The address of a TCP socket. */
export interface InetAddress {
  /** A numeric address. */
  host: string;
  /** 0 to 65535. */
  port: number;
  /** Its protocol. */
  family: 'IPv4' | 'IPv6';
}
const space = new Uint8Array(128);
/** The address of a numeric host (`127.0.0.1`, `::1`, `fe80::1%eth0`) and a port. */
export function inetAddress(host: string, port: number): Uint8Array {
  checkInteger('port', port, 0, 65535);
  const length = isIP(host) === 0 ? -1 : native.numericAddress(host, port, space);
  if (length < 0) {
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'host', 'a numeric IPv4 or IPv6 address here', host);
  }
  return space.slice(0, length);
}
/** An address of {@link inetAddress}, in words. */
export function inetName(address: Uint8Array): InetAddress {
  const view = new DataView(address.buffer, address.byteOffset, address.length);
  const host = native.addressText(address);
  return {
    host: typeof host === 'string' ? host : '',
    port: view.getUint16(2),
    family: view.getUint16(0, LITTLE) === AF_INET ? 'IPv4' : 'IPv6',
  };
}

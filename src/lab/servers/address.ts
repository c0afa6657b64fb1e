/** The address of a server: `unix:PATH` or `tcp:PORT` (of 127.0.0.1 only). */

import type { Server, Socket } from '../../socket/index.js';
import { tcp, unix } from '../../socket/index.js';
import type { WaitOptions } from '../../system/index.js';

export type Address = { kind: 'unix'; path: string } | { kind: 'tcp'; port: number };

/** `undefined` if it is not an address. */
export function parseAddress(text: string): Address | undefined {
  const [, kind, rest] = /^(unix|tcp):(.+)$/s.exec(text) ?? [];
  if (kind === 'unix') return { kind, path: rest! };
  if (kind === 'tcp' && /^\d{1,5}$/.test(rest!) && Number(rest) <= 65535) return { kind, port: Number(rest) };
  return undefined;
}
/** Listens. Port 0 means any free port; the result's address has its number. */
export function listenAt(address: Address): { server: Server<Socket>; address: Address } {
  if (address.kind === 'unix') return { server: unix.listen(address.path), address };
  const server = tcp.listen({ port: address.port });
  return { server, address: { kind: 'tcp', port: server.port } };
}
export function connectTo(address: Address, options: WaitOptions = {}): Promise<Socket> {
  return address.kind === 'unix'
    ? unix.connect(address.path, options)
    : tcp.connect({ port: address.port, ...options });
}
/** The socket of a descriptor that was accepted or inherited. */
export function adopt(kind: Address['kind'], fd: number): Socket {
  return kind === 'unix' ? unix.fromFd(fd) : tcp.fromFd(fd);
}
export function addressText(address: Address): string {
  return address.kind === 'unix' ? `unix:${address.path}` : `tcp:${address.port}`;
}

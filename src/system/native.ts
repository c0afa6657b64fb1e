/**
 * Finds and loads the addon: first a prebuilt binary of the package, then the build of a clone.
 *
 * Every function makes one system call and returns its result, or the errno negated; only this folder turns that into errors. See
 * native/vecino.h for the convention.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

declare const watchBrand: unique symbol;
/** A libuv poll handle. */
export interface NativeWatch {
  readonly [watchBrand]: true;
}
/** Any view; its bytes are what the call reads or writes. */
export type View = ArrayBufferView;

/** The types of native/. A negative result is an errno. */
export interface Native {
  readonly constants: Record<string, number>;
  readonly counters: ArrayBuffer;
  nothing(): void;
  // file.c
  open(path: string, flags: number, mode: number): number;
  close(fd: number): number;
  dup(fd: number): number;
  dup3(from: number, to: number, flags: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  fstat(fd: number, out: Float64Array): number;
  ftruncate(fd: number, length: number): number;
  fallocate(fd: number, mode: number, offset: number, length: number): number;
  fchmod(fd: number, mode: number): number;
  linkDescriptor(fd: number, path: string): number;
  // transfer.c
  read(fd: number, view: View, offset: number, length: number): number;
  write(fd: number, view: View, offset: number, length: number): number;
  writeWhole(fd: number, view: View): number;
  usePool(view: View): void;
  readPooled(fd: number, offset: number, length: number): number;
  sendfile(out: number, from: number, count: number): number;
  splice(from: number, out: number, count: number, flags: number): number;
  copyFileRange(from: number, out: number, count: number): number;
  // pipe.c, opener.c
  pipe2(out: Int32Array, flags: number): number;
  mkfifo(path: string, mode: number): number;
  openerStart(path: string, flags: number): number;
  openerFinish(event: number, cancel: boolean): number;
  // memory.c, guard.c
  mmap(length: number, prot: number, flags: number, fd: number, offset: number, slot: Int32Array): ArrayBuffer | number;
  munmap(slot: number, buffer: ArrayBuffer): number;
  mappingDamage(slot: number): number;
  mappingCount(): number;
  reservationCount(): number;
  memfdCreate(name: string, flags: number): number;
  shmOpen(name: string, flags: number, mode: number): number;
  shmUnlink(name: string): number;
  // poll.c, watch.c
  poll(entries: View, milliseconds: number): number;
  pollOne(fd: number, events: number, milliseconds: number): number;
  watchOpen(fd: number, callback: (status: number, events: number) => void): NativeWatch | number;
  watchStart(watch: NativeWatch, events: number): number;
  watchStop(watch: NativeWatch): number;
  watchKeepAlive(watch: NativeWatch, keep: boolean): number;
  watchClose(watch: NativeWatch): number;
  // futex.c, eventfd.c
  futexWait(view: View, offset: number, expected: number, milliseconds: number): number;
  futexWake(view: View, offset: number, count: number): number;
  eventfd(value: number, flags: number): number;
  // socket.c, socket_message.c
  socketpair(domain: number, type: number, out: Int32Array): number;
  sendmsg(
    fd: number,
    view: View,
    offset: number,
    length: number,
    descriptors: Int32Array,
    flags: number,
    address?: View,
  ): number;
  recvmsg(fd: number, view: View, offset: number, length: number, out: Int32Array, flags: number): number;
  // process.c
  gettid(): number;
  setParentDeathSignal(signal: number): number;
  strerror(errno: number): string;
}

function load(): Native {
  if (process.platform !== 'linux') {
    throw new Error(
      `vecino works on Linux only, because it uses the mechanisms of the Linux kernel (this is ${process.platform}).`,
    );
  }
  const root = new URL('../../', import.meta.url);
  const candidates = [
    `prebuilds/linux-${process.arch}/vecino.node`,
    `prebuilds/linux-${process.arch}-musl/vecino.node`,
    'native/build/Release/vecino.node',
  ].map((path) => fileURLToPath(new URL(path, root)));
  const require = createRequire(import.meta.url);
  const refused: unknown[] = [];
  for (const path of candidates) {
    if (!existsSync(path)) continue;
    try {
      return require(path) as Native;
    } catch (error) {
      refused.push(error);
    }
  }
  const why = refused.map((error) => ` ${(error as Error).message}.`).join('');
  throw new Error(
    `vecino has no native addon for linux-${process.arch}, Node ${process.version}:${why || ' none was shipped or built.'} ` +
      `Install a C compiler (Debian: apt-get install gcc make python3), then run: node ${fileURLToPath(new URL('scripts/build-native.mjs', root))}`,
    { cause: refused[0] },
  );
}

export const native: Native = load();
/** The kernel's names for its numbers on this machine: `O_RDWR`, `POLLIN`, … */
export const constants: Readonly<Record<string, number>> = Object.freeze(native.constants);

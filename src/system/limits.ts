/** The kernel's limits, /proc/sys and getrlimit(2), for errors that name the limit, its value, and how to raise it. */
import { readFileSync } from 'node:fs';
import { check } from './errors.js';
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    // limit.c
    getrlimit(resource: number): number;
  }
}

/** The value of a limit under /proc/sys: `kernelLimit('fs.mqueue.msg_max')`. `undefined` if there is no such file. */
export function kernelLimit(name: string): number | undefined {
  try {
    return Number(readFileSync(limitPath(name), 'utf8'));
  } catch {
    return undefined;
  }
}
function limitPath(name: string): string {
  return `/proc/sys/${name.replaceAll('.', '/')}`;
}
/** "/proc/sys/kernel/msgmax is 8192; raise it with `sysctl -w kernel.msgmax=NUMBER`" */
export function describeLimit(name: string): string {
  return `${limitPath(name)} is ${kernelLimit(name) ?? 'not readable'}; raise it with \`sysctl -w ${name}=NUMBER\``;
}
/** This process's soft limit, `Infinity` for none: `getrlimit('RLIMIT_NOFILE')`. */
export function getrlimit(resource: 'RLIMIT_MSGQUEUE' | 'RLIMIT_NOFILE' | 'RLIMIT_AS'): number {
  return check(native.getrlimit(constants[resource]!), 'getrlimit');
}

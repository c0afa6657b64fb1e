/** The kernel's limits, for errors that name the one that was met, its value, and how to raise it. */
import { readFileSync } from 'node:fs';

/** The value of a limit under /proc/sys: `kernelLimit('fs.mqueue.msg_max')`. `undefined` where there is no such file. */
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
/** This process's soft limit as /proc/self/limits words it: `resourceLimit('Max msgqueue size')`. `undefined` if not readable. */
export function resourceLimit(title: string): number | undefined {
  try {
    const row = readFileSync('/proc/self/limits', 'utf8')
      .split('\n')
      .find((line) => line.startsWith(title));
    const value = row?.slice(title.length).trim().split(/\s+/)[0];
    if (value === undefined) return undefined;
    return value === 'unlimited' ? Number.POSITIVE_INFINITY : Number(value);
  } catch {
    return undefined;
  }
}

/** inotify(7): inotify_init1(2), inotify_add_watch(2) and inotify_rm_watch(2). */
import { checkDescriptor, checkFlags, checkInteger, checkPath } from './arguments.js';
import { check, errnoName } from './errors.js';
import { constants, native } from './native.js';

declare module './native.js' {
  interface Native {
    // inotify.c
    inotifyInit(flags: number): number;
    inotifyAddWatch(fd: number, path: string, mask: number): number;
    inotifyRmWatch(fd: number, watch: number): number;
  }
}

/** A new instance, close-on-exec; `IN_NONBLOCK`. */
export function inotifyInit(flags = 0): number {
  const result = native.inotifyInit(checkFlags('flags', flags) | constants['IN_CLOEXEC']!);
  if (errnoName(result) !== 'EMFILE') return check(result, 'inotify_init1');
  const hint = 'Close file descriptors (ulimit -n), or raise /proc/sys/fs/inotify/max_user_instances';
  return check(result, 'inotify_init1', { hint });
}
/** Watches a file for `mask`, a set of `IN_…`: the number of the watch. */
export function inotifyAddWatch(fd: number, path: string, mask: number): number {
  checkDescriptor('fd', fd);
  return check(native.inotifyAddWatch(fd, checkPath('path', path), checkFlags('mask', mask)), 'inotify_add_watch', {
    path,
  });
}
/** Ends a watch. The events that it has caused stay. */
export function inotifyRmWatch(fd: number, watch: number): void {
  checkDescriptor('fd', fd);
  check(native.inotifyRmWatch(fd, checkInteger('watch', watch, 0, 0x7fffffff)), 'inotify_rm_watch');
}

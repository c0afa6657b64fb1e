/** Removes the name of a persistent channel. */

import { randomUUID } from 'node:crypto';
import { MismatchError, SystemError } from '../../system/errors.js';
import { close } from '../../system/file.js';
import { openFile } from '../../system/open-existing.js';
import { rename } from '../../system/path.js';
import { type ChannelKind, readControl } from './control-file.js';
import type { ChannelDirectory } from './directory.js';
import { removeDead, UNLINKED } from './folder.js';

/**
 * Removes the name of a channel of that kind. Its folder gets another name in the same step, and is removed when it has no participants any
 * more. Returns false if the name does not exist.
 */
export function unlinkChannel(name: string, kind: ChannelKind, { path: root }: ChannelDirectory): boolean {
  let fd = -1;
  try {
    fd = openFile(`${root}/${name}/control`, 'read');
    const found = readControl(fd, `${root}/${name}`);
    if (found.kind !== kind)
      throw new MismatchError(`'${name}' is a ${found.kind}, not a ${kind}. Nothing was removed`);
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENOENT') return false;
    if (error instanceof MismatchError) throw error;
    // Damaged: it can be removed.
  } finally {
    if (fd >= 0) close(fd);
  }
  const other = `${UNLINKED}${randomUUID()}`;
  try {
    rename(`${root}/${name}`, `${root}/${other}`);
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENOENT') return false;
    throw error;
  }
  removeDead(root, other); // unless it is in use: then its last participant does that
  return true;
}

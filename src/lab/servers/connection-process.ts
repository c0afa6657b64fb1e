/**
 * The process of one client, of the server with a process for each:  node connection-process.js PARENT unix|tcp FORM
 *
 * Descriptor 3 is the connection. The process ends with its client, or with the server: the kernel kills it then.
 */
import { constants as os } from 'node:os';
import { native } from '../../system/native.js';
import { type Address, adopt } from './address.js';
import { converse } from './converse.js';

const CONNECTION = 3;

const [parent, kind, form] = process.argv.slice(2) as [string, Address['kind'], string];
native.setParentDeathSignal(os.signals.SIGKILL);
if (process.ppid !== Number(parent)) process.kill(process.pid, 'SIGKILL'); // it died before the line above
converse(adopt(kind, CONNECTION), form);

/** The forms of the server, by name. */
import type { Form } from '../form.js';
import { blocking } from './blocking.js';
import { epoll } from './epoll.js';
import { polling } from './polling.js';
import { processPerConnection } from './process-per-connection.js';
import { select } from './select.js';

const list: readonly Form[] = [blocking, processPerConnection, polling, select, epoll];
export const forms: ReadonlyMap<string, Form> = new Map(list.map((form) => [form.name, form]));

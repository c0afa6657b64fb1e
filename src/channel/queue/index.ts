export type { Delivery } from './delivery.js';
export type { QueueOptions } from './open.js';
export type { QueueReceiveOptions, QueueSendOptions, QueueStats } from './options.js';
export { Queue } from './queue.js';

export type { Delivery } from './delivery.js';
export type { QueueOptions } from './open.js';
export { Queue, type QueueReceiveOptions, type QueueSendOptions, type QueueStats } from './queue.js';

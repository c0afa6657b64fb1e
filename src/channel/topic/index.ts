/** Topics: one to many; a slow reader loses the oldest messages, and knows how many. */
export { Subscription } from './subscription.js';
export { type SubscribeOptions, Topic, type TopicOptions } from './topic.js';

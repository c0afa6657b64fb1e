/** Services: requests and answers, single values or streams. */
export { client } from './client.js';
export { CallContext } from './context.js';
export { type Service, serve } from './service.js';
export type { CallOptions, Client, ClientBase, ClientOptions, RemoteStream, ServeOptions } from './types.js';

/**
 * Shared-memory channels: as fast as memory between two processes, and safe against the death of any process.
 *
 * @module vecino/channel
 */
export type { Codec, CodecName, CustomCodec, ValueOf } from './codec/index.js';
export * from './connection/index.js';
export type { ChannelKind } from './directory/control-file.js';
export type { DirectoryOptions } from './directory/directory.js';
export { type ChannelInfo, type ChannelParticipant, listChannels } from './discovery.js';
export { FullError } from './full-error.js';
export * from './queue/index.js';
export * from './service/index.js';
export * from './topic/index.js';

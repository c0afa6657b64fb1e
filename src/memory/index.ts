/**
 * Memory shared between processes, and typed records in it.
 *
 * @module vecino/memory
 */

export type { SysVKey } from '../system/sysv-key.js';
export {
  type FieldInput,
  type FieldType,
  type FieldValue,
  type FieldView,
  Layout,
  type LayoutField,
  type LayoutFields,
  type LayoutInput,
  type LayoutValue,
  type LayoutView,
  layout,
  type RecordOf,
  type ViewOf,
} from './layout.js';
export type { ArrayView } from './layout-array.js';
export { AtomicInteger, type AtomicKind } from './layout-atomic.js';
export type { LayoutMemory } from './layout-memory.js';
export { SharedMemory } from './shared-memory.js';
export { SysVSharedMemory } from './sysv-shared-memory.js';

/** Memory shared between processes, and typed records in it. */

export type { SysVKey } from '../system/sysv-key.js';
export { Layout, type LayoutField, layout } from './layout.js';
export type { ArrayView } from './layout-array.js';
export { AtomicInteger, type AtomicKind } from './layout-atomic.js';
export type { LayoutMemory } from './layout-memory.js';
export type {
  FieldInput,
  FieldType,
  FieldValue,
  FieldView,
  LayoutFields,
  LayoutInput,
  LayoutValue,
  LayoutView,
  RecordOf,
  ViewOf,
} from './layout-types.js';
export { SharedMemory } from './shared-memory.js';
export { SysVSharedMemory } from './sysv-shared-memory.js';

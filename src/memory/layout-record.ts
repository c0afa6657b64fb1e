/** Records: named members at the offsets that a C compiler chooses. A layout is one, also inside another layout. */
import { inspect } from 'node:util';
import { Field } from './layout-field.js';
import type { Memory, Shape } from './layout-memory.js';

/** One field of a record. */
export interface Member {
  readonly name: string;
  /** Bytes from the start of the record. */
  readonly offset: number;
  readonly field: Field;
}

/** A record in shared memory. Subclasses have an accessor for each field, and no other member that a field could hide. */
export class RecordView {
  // '$' cannot begin a field, so these hide none. Neither private nor defined as class fields, only assigned: where many classes meet, V8's
  // caches fail on the first and take 500 ns for the second.
  declare readonly $memory: Memory;
  declare readonly $start: number;
  /** The objects of fields that are not plain values. */
  declare $objects: unknown[] | undefined;
  constructor(memory: Memory, start: number) {
    this.$memory = memory;
    this.$start = start;
    this.$objects = undefined;
  }
}
type ViewClass = new (memory: Memory, start: number) => RecordView;

/** A field that is an object with a property for each member. */
abstract class ObjectField extends Field {
  refuse(value: unknown): Error {
    return this.wrongType('an object with its fields', value);
  }
}

/**
 * Natural alignment, as all C compilers for Linux on x86-64 and arm64 have it: each member at the next multiple of its own alignment. The
 * record is aligned as its strictest member, and its size is a multiple of that.
 */
export class RecordField extends ObjectField {
  readonly members: readonly Member[];
  readonly #view: ViewClass;
  readonly #plain: new () => Values;
  readonly #read: (memory: Memory, at: number, target: Values) => void;
  readonly #write: (memory: Memory, at: number, values: Values) => void;

  constructor(label: string, fields: readonly { readonly name: string; readonly field: Field }[]) {
    let end = 0;
    let alignment = 1;
    let atomicAlignment = 1;
    const members: Member[] = [];
    for (const { name, field } of fields) {
      const offset = alignUp(end, field.alignment);
      members.push({ name, offset, field });
      end = offset + field.size;
      alignment = Math.max(alignment, field.alignment);
      atomicAlignment = Math.max(atomicAlignment, field.atomicAlignment);
    }
    super(label, 'layout', { size: alignUp(end, alignment), alignment, atomicAlignment, isObject: true });
    this.members = members;
    this.#read = reader(members);
    this.#write = writer(members);
    this.#view = viewClass(this);
    this.#plain = plainClass();
  }
  read(memory: Memory, at: number): Values {
    const target = new this.#plain();
    this.#read(memory, at, target);
    return target;
  }
  /** Reads each property once, in order. If a later field refuses its value, the earlier ones stay written. */
  write(memory: Memory, at: number, value: unknown): void {
    if (value === null || typeof value !== 'object') throw this.refuse(value);
    this.#write(memory, at, value as Values);
  }
  override live(memory: Memory, at: number): RecordView {
    return new this.#view(memory, at);
  }
}
type Values = Record<string, unknown>;

/** A record as a field of another one. It adds the name; the record does the rest, so all its views have one class. */
export class NestedField extends ObjectField {
  readonly record: RecordField;
  constructor(label: string, record: RecordField) {
    super(label, 'layout', { ...shapeOf(record), isObject: true });
    this.record = record;
  }
  read(memory: Memory, at: number): Values {
    return this.record.read(memory, at);
  }
  write(memory: Memory, at: number, value: unknown): void {
    if (value === null || typeof value !== 'object') throw this.refuse(value);
    this.record.write(memory, at, value);
  }
  override live(memory: Memory, at: number): RecordView {
    return this.record.live(memory, at);
  }
}
function shapeOf({ size, alignment, atomicAlignment }: Shape): Shape {
  return { size, alignment, atomicAlignment };
}

/** Creates what `{}` creates; but V8 learns for each such function how many properties its objects will have room for. */
function plainClass(): new () => Values {
  function Plain(): void {}
  Plain.prototype = Object.prototype;
  return Plain as unknown as new () => Values;
}
function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

/** A class for one record: V8 sees `field` and `offset` of each accessor as constants and compiles it to a load or store. */
function viewClass(record: RecordField): ViewClass {
  class View extends RecordView {
    toJSON(): unknown {
      this.$memory.checkOpen();
      return record.read(this.$memory, this.$start);
    }
    [inspect.custom](): unknown {
      return this.$memory.isOpen ? record.read(this.$memory, this.$start) : '[closed]';
    }
  }
  let objects = 0;
  for (const { name, offset, field } of record.members) {
    const index = field.isObject ? objects++ : 0;
    Object.defineProperty(View.prototype, name, {
      configurable: true,
      enumerable: true,
      get: field.isObject
        ? function (this: View): unknown {
            try {
              this.$memory.checkOpen();
              const made = (this.$objects ??= []);
              return (made[index] ??= field.live(this.$memory, this.$start + offset));
            } catch (error) {
              throw this.$memory.explain(error);
            }
          }
        : function (this: View): unknown {
            try {
              return field.read(this.$memory, this.$start + offset);
            } catch (error) {
              throw this.$memory.explain(error);
            }
          },
      set(this: View, value: unknown) {
        try {
          field.write(this.$memory, this.$start + offset, value);
        } catch (error) {
          throw this.$memory.explain(error);
        }
      },
    });
  }
  return View;
}

/** Members are taken four at a time: each of the four positions has its own inline caches, where a loop would share one. */
const GROUP = 4;
type Step = (memory: Memory, at: number, values: Values) => void;

function reader(members: readonly Member[]): Step {
  return inGroups(members, ([a, b, c, d]) => (memory, at, target) => {
    target[a!.name] = a!.field.read(memory, at + a!.offset);
    if (b === undefined) return;
    target[b.name] = b.field.read(memory, at + b.offset);
    if (c === undefined) return;
    target[c.name] = c.field.read(memory, at + c.offset);
    if (d === undefined) return;
    target[d.name] = d.field.read(memory, at + d.offset);
  });
}
function writer(members: readonly Member[]): Step {
  return inGroups(members, ([a, b, c, d]) => (memory, at, values) => {
    a!.field.write(memory, at + a!.offset, values[a!.name]);
    if (b === undefined) return;
    b.field.write(memory, at + b.offset, values[b.name]);
    if (c === undefined) return;
    c.field.write(memory, at + c.offset, values[c.name]);
    if (d === undefined) return;
    d.field.write(memory, at + d.offset, values[d.name]);
  });
}
function inGroups(members: readonly Member[], step: (group: readonly (Member | undefined)[]) => Step): Step {
  const steps: Step[] = [];
  for (let i = 0; i < members.length; i += GROUP) steps.push(step(members.slice(i, i + GROUP)));
  if (steps.length === 1) return steps[0]!;
  return (memory, at, values) => {
    for (let i = 0; i < steps.length; i++) steps[i]!(memory, at, values);
  };
}

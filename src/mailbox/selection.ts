/** Which messages of a System V queue a receiver wants, msgrcv(2). */
import { checkInteger } from '../system/arguments.js';
import { invalidArgument } from '../system/errors.js';
import { constants } from '../system/native.js';

/** Which message of a System V queue to receive. */
export interface SelectOptions {
  /**
   * 0 (the default): the first message. Above 0: the first message of that type. Below 0: the first message of the lowest type that is at
   * most `-type`.
   */
  type?: number | undefined;
  /** With a type above 0: the first message of any other type. */
  except?: boolean | undefined;
}

export class Selection {
  readonly type: number;
  /** For msgrcv(2): MSG_EXCEPT or 0. */
  readonly flags: number;
  constructor(options: SelectOptions | undefined) {
    const { type = 0, except = false } = options ?? {};
    if (typeof except !== 'boolean') {
      throw invalidArgument('ERR_INVALID_ARG_TYPE', 'options.except', 'a boolean', except);
    }
    this.type = checkInteger('options.type', type, except ? 1 : Number.MIN_SAFE_INTEGER);
    this.flags = except ? constants['MSG_EXCEPT']! : 0;
  }
  /** Equal for selections that want the same messages. */
  get key(): string {
    return `${this.flags} ${this.type}`;
  }
  matches(type: number): boolean {
    if (this.flags !== 0) return type !== this.type;
    return this.type === 0 || (this.type < 0 ? type <= -this.type : type === this.type);
  }
}

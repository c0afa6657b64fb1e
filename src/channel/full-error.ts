import { IpcError } from '../system/errors.js';

/** There is no room now; the forms that wait, and those that give null or false, do not throw it. */
export class FullError extends IpcError {
  constructor(message: string) {
    super('ERR_VECINO_FULL', message);
  }
  static {
    FullError.prototype.name = 'FullError';
  }
}

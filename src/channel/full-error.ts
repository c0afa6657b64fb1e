import { IpcError } from '../system/errors.js';

/** There is no room now. Thrown only by calls that neither wait nor return null or false. */
export class FullError extends IpcError {
  constructor(message: string) {
    super('ERR_VECINO_FULL', message);
  }
  static {
    FullError.prototype.name = 'FullError';
  }
}

/**
 * The three ways a call fails, apart so that a caller can decide without reading texts: the agent said no
 * (VdsmError), there is no connection (ConnectionError), there was no answer in time (DeadlineError).
 */

/** The agent answered with an error. Decide on `code` (VDSM's, see domain/errors.ts); `message` is for people. */
export class VdsmError extends Error {
  override readonly name = 'VdsmError';
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** The connection could not be opened, or was lost before the answer came. The verb may have run. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  /**
   * @param systemCode Node's code of the cause (ECONNREFUSED, ENOENT ...), where there was one
   */
  constructor(
    message: string,
    readonly systemCode?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** No answer within the call's deadline. The connection is still open; the verb may run on. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

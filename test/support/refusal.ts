import { AwlError } from '../../src/errors.js';

/** The AwlError that a call ends with; anything else, or success, is a failed test. */
export async function refusal(call: () => unknown): Promise<AwlError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof AwlError) return error;
    throw error;
  }
  throw new Error('expected an AwlError, but the call succeeded');
}

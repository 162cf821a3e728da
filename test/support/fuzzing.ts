import { AwlError } from '../../src/errors.js';

/** Runs `decode`: it may refuse with an AwlError and nothing else; what it takes is handed to `check`. */
export function answersOrRefuses<T>(decode: () => T, check: (value: T) => void = () => {}): void {
  let value: T;
  try {
    value = decode();
  } catch (error) {
    if (error instanceof AwlError && error.code.startsWith('MESSAGE_')) return;
    throw error;
  }
  check(value);
}

import type { StatusBoard } from '../session/board.js';
import type { Io } from './io.js';
import { progressText } from './status-text.js';

const DRAW_MS = 1_000;

export interface Progress {
  /** Draws at once; for what happens between two draws. */
  draw(): void;
  close(): void;
}

/**
 * Keeps one line about the sessions at the bottom of a terminal.
 * @param quiet true while the terminal belongs to somebody else
 */
export function showProgress(
  board: StatusBoard,
  terminal: NonNullable<Io['terminal']>,
  quiet: () => boolean,
): Progress {
  const draw = () => terminal.show(quiet() ? '' : progressText(board.snapshot(), terminal.columns()));
  const timer = setInterval(draw, DRAW_MS).unref();
  return {
    draw,
    close: () => {
      clearInterval(timer);
      terminal.show('');
    },
  };
}

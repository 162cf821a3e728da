import { AwlError } from '../errors.js';
import { TUNNEL_BREAKS_MS } from '../wire/tunnel-limits.js';
import { lost } from './link.js';

export interface PatienceOptions {
  /** How long another path is waited for; 0 for not at all. */
  readonly ms: number;
  /** Paths that may break within TUNNEL_BREAKS_MS; who waits for the other side to come back need not count. */
  readonly breaks?: number;
  /** The wait is over, or would lead to nothing. */
  readonly over: (error: AwlError) => void;
  /** Monotonic ms. */
  readonly now?: () => number;
}

/** How long a tunnel that lost its path waits for another one, and how many paths it may lose in a short time. */
export class Patience {
  readonly #options: PatienceOptions;
  readonly #now: () => number;
  /** When paths were lost, as many as may be. */
  readonly #breaks: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PatienceOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  get waiting(): boolean {
    return this.#timer !== undefined;
  }

  /** The path is lost. True if another one is waited for from now on. */
  begin(error: AwlError): boolean {
    if (this.#timer) return false;
    const { ms, over } = this.#options;
    if (ms <= 0) over(error);
    else if (this.#tooOften()) over(cutAgain(this.#breaks.length, error));
    else {
      const seconds = Math.round(ms / 1000);
      const end = () =>
        over(lost(`there was no new path within ${seconds} s (before that: ${error.message})`));
      this.#timer = setTimeout(end, ms);
      return true;
    }
    return false;
  }

  /** There is a path again, or the tunnel is over. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Whoever can put packets on the path can break it; each break costs the peer an invitation. */
  #tooOften(): boolean {
    const { breaks: most } = this.#options;
    if (most === undefined) return false;
    const now = this.#now();
    const first = this.#breaks.length >= most ? this.#breaks.shift() : undefined;
    this.#breaks.push(now);
    return first !== undefined && now - first < TUNNEL_BREAKS_MS;
  }
}

function cutAgain(most: number, last: AwlError): AwlError {
  const often = `${most + 1} times within ${TUNNEL_BREAKS_MS / 1000} s`;
  return new AwlError(
    'TUNNEL_LOST',
    `the tunnel is lost: its path broke ${often}, now because: ${last.message}`,
    {
      hint: 'somebody between both sides may put forged packets on the path; where TCP can be punched (no --udp-only) that is harder',
      cause: last,
    },
  );
}

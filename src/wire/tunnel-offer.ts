import { AwlError } from '../errors.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../util/endpoint.js';

/** Where one side of a tunnel can be met over TCP. */
export interface TunnelOffer {
  /** Where its connects come from, as far as it knows: the other side connects there at the same time. */
  readonly at: readonly Endpoint[];
  /** Where it listens for a moment; acceptors only. */
  readonly open: readonly Endpoint[];
}

const PLACES_MAX = 4;

/** JSON: `at` and `open`, lists of `ip:port` or `[ip]:port`, at most four each. */
export function encodeOffer({ at, open }: TunnelOffer): string {
  const list = (places: readonly Endpoint[]) => places.slice(0, PLACES_MAX).map(formatEndpoint);
  return JSON.stringify({ at: list(at), open: list(open) });
}

/** @throws AwlError MESSAGE_MALFORMED */
export function decodeOffer(text: string): TunnelOffer {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed();
  }
  if (typeof value !== 'object' || value === null) throw malformed();
  const { at, open } = value as Readonly<Record<string, unknown>>;
  return { at: readPlaces(at), open: readPlaces(open) };
}

function readPlaces(value: unknown): Endpoint[] {
  if (!Array.isArray(value) || value.length > PLACES_MAX) throw malformed();
  return value.map((text) => {
    const endpoint = typeof text === 'string' ? parseEndpoint(text) : undefined;
    if (!endpoint || endpoint.port === 0) throw malformed();
    return endpoint;
  });
}

function malformed(): AwlError {
  return new AwlError('MESSAGE_MALFORMED', "the peer's offer of TCP is not one", {
    hint: 'both sides should run the same version of awl',
  });
}

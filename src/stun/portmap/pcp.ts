import { decodePcp, encodePcpAnnounce, encodePcpMap, type PcpResponse, unspecified } from '../../wire/pcp.js';
import { askGateway } from './gateway-dialogue.js';
import type { Gateway, Granted, MapRequest, PortMapper } from './mapper.js';

/** RFC 6887 section 7.4. */
const RESULTS = [
  'success',
  'it does not know this version',
  'it does not allow it',
  'it cannot read the request',
  'it does not know the operation',
  'it does not know an option',
  'an option is malformed',
  'its own network is down',
  'it has no ports left',
  'it does not know the protocol',
  'the port that was asked for is taken',
  'it sees us at another address',
  'too many peers',
];

function refusal({ result }: PcpResponse): Error {
  return new Error(RESULTS[result] ?? `PCP error ${result}`);
}

/**
 * Finds out whether the gateway speaks PCP, without changing anything there.
 * @throws Error if it does not; the signal's reason
 */
export async function findPcp(where: Gateway, signal: AbortSignal): Promise<PortMapper> {
  // A server that does not know ANNOUNCE still shows by its answer that it is one.
  await askGateway(where, encodePcpAnnounce(where.local), decodePcp, signal);
  return {
    protocol: 'pcp',
    gateway: where.gateway,
    map: (request, inner) => map(where, request, request.lifetimeS, inner),
    unmap: async (request, granted, inner) => {
      await map(where, { ...request, wanted: granted.external.port }, 0, inner);
    },
  };
}

async function map(
  where: Gateway,
  { port, wanted, nonce }: MapRequest,
  lifetime: number,
  signal: AbortSignal,
): Promise<Granted> {
  const client = where.local;
  const suggested = { address: unspecified(client), port: wanted };
  const request = encodePcpMap({ client, nonce, internalPort: port, suggested, lifetime });
  const read = (data: Buffer) => {
    const answer = decodePcp(data);
    const ours = answer?.map?.nonce.equals(nonce) && answer.map.internalPort === port;
    return ours ? answer : undefined;
  };
  const answer = await askGateway(where, request, read, signal);
  if (answer.result !== 0 || !answer.map) throw refusal(answer);
  return { external: answer.map.external, lifetimeS: answer.lifetime };
}

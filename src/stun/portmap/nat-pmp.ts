import {
  decodeNatPmp,
  encodeNatPmpAddress,
  encodeNatPmpMap,
  type NatPmpResponse,
} from '../../wire/nat-pmp.js';
import { askGateway } from './gateway-dialogue.js';
import type { Gateway, Granted, MapRequest, PortMapper } from './mapper.js';

/** RFC 6886 section 3.5. */
const RESULTS = [
  'success',
  'it does not know this version',
  'it does not allow it',
  'its own network is down',
  'it has no ports left',
  'it does not know the operation',
];

type Kind = NatPmpResponse['kind'];

function only<K extends Kind>(kind: K) {
  return (data: Buffer): Extract<NatPmpResponse, { kind: K }> | undefined => {
    const answer = decodeNatPmp(data);
    return answer?.kind === kind ? (answer as Extract<NatPmpResponse, { kind: K }>) : undefined;
  };
}

function check({ result }: NatPmpResponse): void {
  if (result !== 0) throw new Error(RESULTS[result] ?? `NAT-PMP error ${result}`);
}

async function outside(where: Gateway, signal: AbortSignal): Promise<string> {
  const answer = await askGateway(where, encodeNatPmpAddress(), only('address'), signal);
  check(answer);
  return answer.address ?? '0.0.0.0';
}

/**
 * Finds out whether the gateway speaks NAT-PMP, by asking for its outside address.
 * @throws Error if it does not; the signal's reason
 */
export async function findNatPmp(where: Gateway, signal: AbortSignal): Promise<PortMapper> {
  await outside(where, signal);
  return {
    protocol: 'nat-pmp',
    gateway: where.gateway,
    async map(request, inner) {
      const [address, granted] = await Promise.all([outside(where, inner), map(where, request, inner)]);
      return { external: { address, port: granted.externalPort }, lifetimeS: granted.lifetime };
    },
    async unmap(request, _granted: Granted, inner) {
      await map(where, { ...request, wanted: 0, lifetimeS: 0 }, inner);
    },
  };
}

async function map(where: Gateway, { port, wanted, lifetimeS }: MapRequest, signal: AbortSignal) {
  const read = (data: Buffer) => {
    const answer = only('map')(data);
    // A refusal may come without the port that it is about.
    return answer && (answer.result !== 0 || answer.internalPort === port) ? answer : undefined;
  };
  const answer = await askGateway(where, encodeNatPmpMap(port, wanted, lifetimeS), read, signal);
  check(answer);
  return answer;
}

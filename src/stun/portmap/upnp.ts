import { randomInt } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { encodeAction, readDescription, readErrorCode, readValue } from '../../wire/upnp.js';
import { askRouter, routerUrl } from './http.js';
import { CONFLICT_RETRIES } from './limits.js';
import type { Gateway, Granted, MapRequest, PortMapper } from './mapper.js';
import { searchGateway } from './ssdp.js';

/** WANIPConnection 2 section 2.5.16. */
const CONFLICT = 718;
const ONLY_PERMANENT = 725;
const NOT_AUTHORIZED = 606;
const HTTP_OK = 200;
const DESCRIPTION = 'awl';

/** What the router answered instead of doing it. */
class Refusal extends Error {
  readonly code: number | undefined;

  constructor(code: number | undefined, status: number) {
    super(code === NOT_AUTHORIZED ? 'it does not allow it' : `UPnP error ${code ?? `(HTTP ${status})`}`);
    this.code = code;
  }
}

interface Service {
  readonly url: URL;
  readonly type: string;
}

type Values = Readonly<Record<string, string | number>>;

async function act(
  { url, type }: Service,
  action: string,
  values: Values,
  signal: AbortSignal,
): Promise<string> {
  const headers = { 'Content-Type': 'text/xml; charset="utf-8"', SOAPAction: `"${type}#${action}"` };
  const body = encodeAction(type, action, values);
  const { status, text } = await askRouter(url, { method: 'POST', headers, body }, signal);
  if (status !== HTTP_OK) throw new Refusal(readErrorCode(text), status);
  return text;
}

/**
 * Finds a UPnP gateway: search, description, and the first service that knows an outside address.
 * @throws Error if there is none; the signal's reason
 */
export async function findUpnp(where: Gateway, signal: AbortSignal): Promise<PortMapper> {
  const location = await searchGateway(where, signal);
  const { status, text } = await askRouter(location, { method: 'GET' }, signal);
  if (status !== HTTP_OK) throw new Error(`the description cannot be had (HTTP ${status})`);
  const { name, services } = readDescription(text);
  for (const { type, controlUrl } of services) {
    const url = routerUrl(controlUrl, where.gateway, location);
    const service = url && { url, type };
    const usable = service && (await outside(service, signal).catch(() => undefined));
    signal.throwIfAborted();
    if (!service || usable === undefined) continue;
    return {
      protocol: 'upnp',
      gateway: where.gateway,
      ...(name !== undefined && { name }),
      map: (request, inner) => map(service, where, request, inner),
      unmap: async (_request, granted, inner) => {
        const values = { NewRemoteHost: '', NewExternalPort: granted.external.port, NewProtocol: 'UDP' };
        await act(service, 'DeletePortMapping', values, inner);
      },
    };
  }
  throw new Error('the router offers no service that maps ports');
}

async function outside(service: Service, signal: AbortSignal): Promise<string> {
  const text = await act(service, 'GetExternalIPAddress', {}, signal);
  const address = readValue(text, 'NewExternalIPAddress') ?? '';
  if (!isIPv4(address)) throw new Error('the router knows no outside address');
  return address;
}

/** Another port where one is taken; a mapping without end where the router knows no other: it is removed at the end. */
async function map(
  service: Service,
  { local }: Gateway,
  { port, wanted, lifetimeS }: MapRequest,
  signal: AbortSignal,
): Promise<Granted> {
  const address = await outside(service, signal);
  let external = wanted;
  let lifetime = lifetimeS;
  for (let conflicts = 0; ; ) {
    try {
      await act(
        service,
        'AddPortMapping',
        {
          ...{ NewRemoteHost: '', NewExternalPort: external, NewProtocol: 'UDP', NewInternalPort: port },
          ...{ NewInternalClient: local, NewEnabled: 1, NewPortMappingDescription: DESCRIPTION },
          NewLeaseDuration: lifetime,
        },
        signal,
      );
      const lasts = lifetime === 0 ? Number.POSITIVE_INFINITY : lifetime;
      return { external: { address, port: external }, lifetimeS: lasts };
    } catch (error) {
      const code = error instanceof Refusal ? error.code : undefined;
      if (code === ONLY_PERMANENT && lifetime !== 0) lifetime = 0;
      else if (code === CONFLICT && conflicts++ < CONFLICT_RETRIES) external = randomInt(10_000, 60_000);
      else throw error;
    }
  }
}

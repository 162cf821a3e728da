import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { AwlError, errorText } from '../errors.js';
import type { Logger } from '../log.js';
import type { TeleportationInfo } from './lists.js';
import type { MeepoNode } from './node.js';
import { exposureNote } from './sources.js';
import type { DaemonStatus } from './status.js';

const BODY_MAX_BYTES = 64 * 1024;

type Fields = Readonly<Record<string, unknown>>;
interface Answer {
  readonly status: 200 | 201 | 204;
  readonly body?: unknown;
}

export interface ApiOptions {
  readonly node: MeepoNode;
  /** What `version` answers. */
  readonly version: Fields;
  /** More about the node for `status`. */
  readonly status: () => DaemonStatus;
  readonly shutdown: () => void;
  readonly log: Logger;
}

/** A request that lacks what it needs: 400 in the real one's words. */
class BadRequest extends Error {}

function required(fields: Fields, name: string, action: string): string {
  const value = fields[name];
  if (typeof value === 'string' && value !== '') return value;
  const [key, type] = [name.charAt(0).toUpperCase() + name.slice(1), action];
  throw new BadRequest(
    `Key: '${type}.${key}' Error:Field validation for '${key}' failed on the 'required' tag`,
  );
}

function optional<N extends string>(fields: Fields, from: string, to: N): { readonly [K in N]?: string } {
  const value = fields[from];
  return (typeof value === 'string' && value !== '' ? { [to]: value } : {}) as { readonly [K in N]?: string };
}

/** A line that the user of a command should read. */
const warning = ({ exposed, peer }: TeleportationInfo) => (exposed ? { warning: exposureNote(peer) } : {});

function teleportation({ peer, state, channels, ...rest }: TeleportationInfo, node: MeepoNode): object {
  const all = node.listTransports().find(({ peerID }) => peerID === peer)?.dataChannels ?? [];
  const own = all.filter(({ label }) => label.startsWith(`${rest.name}:`));
  return {
    name: rest.name,
    source: rest.source,
    sink: rest.sink,
    portal: rest.portal,
    transport: { peerID: peer, state },
    dataChannels: own.length > 0 ? own : null,
    channels,
  };
}

const request = (fields: Fields, peer: string, remote: string) => ({
  peer,
  remote,
  ...optional(fields, 'name', 'name'),
  ...optional(fields, 'localAddress', 'local'),
  ...optional(fields, 'secret', 'secret'),
});

const ACTIONS: Readonly<Record<string, (fields: Fields, options: ApiOptions) => Promise<Answer>>> = {
  version: async (_fields, { version }) => ({ status: 200, body: version }),
  whoami: async (_fields, { node }) => ({ status: 200, body: { id: node.id } }),
  status: async (_fields, { status }) => ({ status: 200, body: status() }),
  ping: async (fields, { node }) => {
    const payload = fields['payload'];
    await node.ping(required(fields, 'peerID', 'PingRequest'), typeof payload === 'string' ? payload : '');
    return { status: 204 };
  },
  shutdown: async (_fields, { shutdown }) => {
    shutdown();
    return { status: 204 };
  },
  new_transport: async (fields, { node }) => ({
    status: 201,
    body: node.newTransport(required(fields, 'peerID', 'NewTransportRequest')),
  }),
  close_transport: async (fields, { node }) => {
    await node.closeTransport(required(fields, 'peerID', 'CloseTransportRequest'));
    return { status: 204 };
  },
  list_transports: async (_fields, { node }) => {
    const all = node.listTransports();
    return { status: 200, body: { transports: all.length > 0 ? all : null } };
  },
  teleport: async (fields, { node }) => {
    const peer = required(fields, 'id', 'TeleportRequest');
    const remote = required(fields, 'remoteAddress', 'TeleportRequest');
    const made = await node.teleport(request(fields, peer, remote));
    const { network, address } = made.source;
    return { status: 200, body: { localNetwork: network, localAddress: address, ...warning(made) } };
  },
  new_teleportation: async (fields, { node }) => {
    const peer = required(fields, 'peerID', 'NewTeleportationRequest');
    const remote = required(fields, 'remoteAddress', 'NewTeleportationRequest');
    required(fields, 'remoteNetwork', 'NewTeleportationRequest');
    const made = await node.newTeleportation(request(fields, peer, remote));
    return { status: 201, body: { ...teleportation(made, node), ...warning(made) } };
  },
  close_teleportation: async (fields, { node }) => {
    await node.closeTeleportation(required(fields, 'name', 'CloseTeleportationRequest'));
    return { status: 204 };
  },
  list_teleportations: async (_fields, { node }) => {
    const all = node.listTeleportations().map((one) => teleportation(one, node));
    return { status: 200, body: { teleportations: all.length > 0 ? all : null } };
  },
};

/**
 * The daemon's HTTP API (shared spec section 12), for a TCP port of loopback or a unix socket. A web page could reach
 * the port, so it is answered only under a loopback name, without an Origin, and for JSON.
 */
export function apiServer(options: ApiOptions): Server {
  const server = createServer({ requestTimeout: 10_000, maxHeaderSize: 8192 }, (req, res) => {
    void answer(req, res, options);
  });
  server.on('error', (error) => options.log.warning(`API: ${errorText(error)}`));
  return server;
}

async function answer(req: IncomingMessage, res: ServerResponse, options: ApiOptions): Promise<void> {
  try {
    const refused = whyRefused(req);
    if (refused) return send(res, refused.status, { error: refused.why });
    if (req.method === 'GET' && req.url === '/healthz') {
      res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
      return;
    }
    const [, name = ''] = /^\/v1\/actions\/([a-z_]{1,32})$/.exec(req.url ?? '') ?? [];
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action || req.method !== 'POST') return send(res, 404, { error: 'not found' });
    const { status, body } = await action(await fieldsOf(req), options);
    send(res, status, body);
  } catch (error) {
    const known = error instanceof AwlError;
    if (!known && !(error instanceof BadRequest)) options.log.error(`API: ${errorText(error)}`);
    const text = errorText(error);
    const more = known ? { code: error.code, ...(error.hint && { hint: error.hint }) } : {};
    send(res, error instanceof BadRequest ? 400 : 500, { error: text, ...more });
  }
}

/** Only what a program of this machine says, not what a page in its browser does. */
function whyRefused({
  headers,
  method,
  socket,
}: IncomingMessage): { status: number; why: string } | undefined {
  const local = socket.remoteAddress === undefined;
  const host = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) {
    return { status: 403, why: 'requests of web pages are refused' };
  }
  if (!local && !['127.0.0.1', 'localhost', '::1'].includes(host)) {
    return { status: 403, why: 'the Host header names no loopback address' };
  }
  if (method === 'POST' && !/^application\/json *(;|$)/i.test(headers['content-type'] ?? '')) {
    return { status: 415, why: 'the content type must be application/json' };
  }
  return undefined;
}

async function fieldsOf(req: IncomingMessage): Promise<Fields> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req) {
    length += (chunk as Buffer).length;
    if (length > BODY_MAX_BYTES) throw new BadRequest('the request is too large');
    chunks.push(chunk as Buffer);
  }
  if (length === 0) return {};
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  } catch {
    // Said below.
  }
  throw new BadRequest('the request is no JSON object');
}

function send(res: ServerResponse, status: number, body?: unknown): void {
  if (body === undefined) {
    res.writeHead(status).end();
    return;
  }
  const text = JSON.stringify(body);
  res.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(text);
}

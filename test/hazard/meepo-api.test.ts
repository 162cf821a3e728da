import { once } from 'node:events';
import { request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLogger } from '../../src/log.js';
import { apiServer } from '../../src/meepo/api.js';
import type { MeepoNode } from '../../src/meepo/node.js';
import { loopbackNode } from '../support/meepo-nodes.js';

let node: MeepoNode;
let server: Server;
let port = 0;
let stops = 0;
const lines: string[] = [];

beforeAll(async () => {
  node = loopbackNode(undefined);
  const log = createLogger({ level: 'error', write: (line) => void lines.push(line) });
  const status = () => ({ ...node.status(), pid: 1, upMs: 1 });
  const shutdown = () => {
    stops += 1;
  };
  server = apiServer({ node, version: { version: 'x' }, status, shutdown, log }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await node.close();
});

interface Said {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}
const JSON_TYPE = { 'content-type': 'application/json' };

function say({ method = 'POST', path = '/v1/actions/whoami', headers = JSON_TYPE, body = '' }: Said) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const req = request({ port, host: '127.0.0.1', method, path, headers }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      res.on('end', () => resolve({ status: res.statusCode ?? 0, text }));
    });
    req.on('error', reject).end(body);
  });
}

test('a program of this machine is answered, whichever loopback name it uses', async () => {
  const own = JSON.stringify({ id: node.id });
  for (const host of ['127.0.0.1', `127.0.0.1:${port}`, 'localhost:12345', '[::1]:12345']) {
    expect(await say({ headers: { ...JSON_TYPE, host } }), host).toEqual({ status: 200, text: own });
  }
  const type = 'application/json; charset=utf-8';
  expect((await say({ headers: { 'content-type': type } })).status).toBe(200);
  expect(await say({ method: 'GET', path: '/healthz', headers: {} })).toEqual({ status: 200, text: 'ok' });
});

test.each<[string, number, Said]>([
  ['a page of another site', 403, { headers: { ...JSON_TYPE, origin: 'https://evil.example' } }],
  ['a page that hides where it is from', 403, { headers: { ...JSON_TYPE, origin: 'null' } }],
  ['a page of this very port', 403, { headers: { ...JSON_TYPE, origin: 'http://127.0.0.1:12345' } }],
  [
    'a browser that says what it fetches',
    403,
    { headers: { ...JSON_TYPE, 'sec-fetch-site': 'same-origin' } },
  ],
  ['a question whether a page may', 403, { method: 'OPTIONS', headers: { origin: 'https://evil.example' } }],
  ['a name that was bent to 127.0.0.1', 403, { headers: { ...JSON_TYPE, host: 'evil.example:12345' } }],
  ['a name that begins like ours', 403, { headers: { ...JSON_TYPE, host: '127.0.0.1.evil.example' } }],
  ['a form', 415, { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'a=1' }],
  ['text that is JSON', 415, { headers: { 'content-type': 'text/plain' }, body: '{}' }],
  ['a type that begins like JSON', 415, { headers: { 'content-type': 'application/json-x' }, body: '{}' }],
  ['no type', 415, { headers: {}, body: '{}' }],
  ['a GET', 404, { method: 'GET' }],
  ['an action that there is not', 404, { path: '/v1/actions/constructor' }],
  ['a path beside it', 404, { path: '/v1/actions/../whoami' }],
  ['what is no JSON', 400, { body: '{' }],
  ['what is no object', 400, { body: '[1]' }],
  ['too much', 400, { body: JSON.stringify({ a: 'x'.repeat(70_000) }) }],
])('%s is refused', async (_name, status, said) => {
  const path = said.path ?? '/v1/actions/shutdown';
  const answer = await say({ ...said, path });
  expect(answer.status).toBe(status);
  expect(answer.text).toMatch(/^\{"error":"[^"]+/);
  expect(stops).toBe(0);
});

test('a field that is missing is named as the real one names it', async () => {
  expect(await say({ path: '/v1/actions/ping', body: '{}' })).toEqual({
    status: 400,
    text: JSON.stringify({
      error: "Key: 'PingRequest.PeerID' Error:Field validation for 'PeerID' failed on the 'required' tag",
    }),
  });
});

test('whatever JSON a program sends, each action answers it, and none is a fault of ours', async () => {
  const actions = [
    'ping',
    'new_transport',
    'close_transport',
    'teleport',
    'new_teleportation',
    'close_teleportation',
  ];
  const others = ['version', 'whoami', 'list_transports', 'list_teleportations', 'status'];
  const names = [
    'peerID',
    'id',
    'name',
    'remoteAddress',
    'remoteNetwork',
    'localAddress',
    'secret',
    'payload',
  ];
  // No MeepoID among them: nobody is called.
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('', ':80', '127.0.0.1:1', 'tcp', node.id),
    fc.string(),
  );
  const body = fc.oneof(fc.dictionary(fc.constantFrom(...names, '__proto__'), value), fc.jsonValue());
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...actions, ...others), body, async (action, json) => {
      const { status, text } = await say({ path: `/v1/actions/${action}`, body: JSON.stringify(json) });
      expect([200, 201, 204, 400, 500]).toContain(status);
      const answer: unknown = status === 204 ? {} : JSON.parse(text);
      // An error of the node has a code, one of the request the real one's words.
      if (status === 500)
        expect(answer).toMatchObject({ code: expect.any(String), error: expect.any(String) });
      if (status === 400) expect(answer).toMatchObject({ error: expect.any(String) });
    }),
    { numRuns: 400 },
  );
  expect(lines).toEqual([]);
  expect((await say({})).status).toBe(200);
});

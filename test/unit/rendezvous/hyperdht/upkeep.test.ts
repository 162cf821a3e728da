import { EventEmitter } from 'node:events';
import { expect, test, vi } from 'vitest';
import { silentLogger } from '../../../../src/log.js';
import { encodeReply } from '../../../../src/rendezvous/hyperdht/knock.js';
import type { DhtLibrary, DhtNode, DhtServer } from '../../../../src/rendezvous/hyperdht/library.js';
import { placeOf } from '../../../../src/rendezvous/hyperdht/place.js';
import type { Carrier } from '../../../../src/rendezvous/hyperdht/private.js';
import { newEcho, Upkeep } from '../../../../src/rendezvous/hyperdht/upkeep.js';

function side(found: () => boolean) {
  const announced: string[] = [];
  const node = Object.assign(new EventEmitter(), {
    destroyed: false,
    remoteAddress: () => null,
    announce: (topic: Buffer) => {
      announced.push(topic.toString('hex'));
      return Object.assign(new EventEmitter(), { finished: async () => {} });
    },
  });
  const server = { refresh: vi.fn(), relayAddresses: [{ host: '192.0.2.10', port: 49737 }] };
  const keyPair = { publicKey: Buffer.alloc(32), secretKey: Buffer.alloc(64) };
  const ask = async () => encodeReply(found() ? { op: 'echo' } : { op: 'waiting' });
  const onStale = vi.fn();
  const upkeep = new Upkeep({
    library: { keyPair: () => keyPair } as unknown as DhtLibrary,
    node: node as unknown as DhtNode,
    server: server as unknown as DhtServer,
    keyPair,
    carrier: { ask } as unknown as Carrier,
    echo: newEcho(),
    log: silentLogger,
    onStale,
  });
  return { upkeep, node, server, announced, onStale };
}

test('a machine that slept announces itself anew, although no time has passed by its own clock', async () => {
  const { upkeep, node, server, announced } = side(() => true);
  const places = ['one', 'two'].map((app) => placeOf(app, Buffer.alloc(32, 1)));
  for (const place of places) upkeep.add(place);
  const stop = new AbortController();
  const running = upkeep.run(stop.signal);
  await vi.waitFor(() => expect(announced).toHaveLength(2), 20_000);
  node.emit('wakeup');
  await vi.waitFor(() => expect(announced).toHaveLength(4), 20_000);
  expect(new Set(announced).size).toBe(2);
  expect(server.refresh).toHaveBeenCalledTimes(1);
  stop.abort();
  await running;
});

test('a node that died is replaced at once, one that finds nobody after a minute', async () => {
  const { upkeep, node, onStale } = side(() => false);
  const stop = new AbortController();
  const running = upkeep.run(stop.signal);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(onStale).not.toHaveBeenCalled();
  node.destroyed = true;
  upkeep.hurry();
  await vi.waitFor(() => expect(onStale).toHaveBeenCalled(), 20_000);
  stop.abort();
  await running;
});

import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RendezvousSettings } from '../../src/rendezvous/registry.js';
import { accept } from '../../src/session/acceptor.js';
import { invite } from '../../src/session/initiator.js';
import type { Passage } from '../../src/session/passage.js';
import { UdpSocket } from '../../src/util/udp.js';
import { Testnet } from '../support/testnet.js';
import { makeWorld, until, type World } from '../support/world.js';

let world: World;
let net: Testnet;
let stop: AbortController;
/** Takes datagrams and says nothing: as a bootstrap node of either DHT it is dead. */
let silent: UdpSocket;
const open: Passage[] = [];
const running: Promise<void>[] = [];

beforeEach(async () => {
  world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  net = await Testnet.start(1);
  silent = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await Promise.all(open.splice(0).map((passage) => passage.close()));
  await Promise.all(running.splice(0));
  await Promise.all([net.down(), world.close(), silent.close()]);
});

const alice = () => world.machines[0]!;
const bob = () => world.machines[1]!;
const nobody = () => [{ host: '127.0.0.1', port: silent.local.port }];
const hyperdht = (): RendezvousSettings => ({ name: 'hyperdht', hyperdht: net.settings });
const deadHyperdht = (): RendezvousSettings => ({ name: 'hyperdht', hyperdht: { bootstrap: nobody() } });
const deadOpendht = (): RendezvousSettings => ({
  name: 'opendht',
  opendht: { bootstrap: nobody(), port: 0, network: 0 },
});
const folder = (): RendezvousSettings => ({ name: 'file', folder: world.folder });

function bobAccepts(...rendezvous: RendezvousSettings[]): Passage[] {
  const passages: Passage[] = [];
  const settings = world.settings(bob(), alice(), { rendezvous, signal: stop.signal });
  const serving = (async () => {
    for await (const passage of accept(settings)) {
      passages.push(passage);
      open.push(passage);
    }
  })();
  running.push(serving.catch(() => {}));
  return passages;
}

function aliceInvites(...rendezvous: RendezvousSettings[]): Promise<Passage> {
  return invite(world.settings(alice(), bob(), { rendezvous }));
}

const listening = (count: number) =>
  until(
    `${count} listening`,
    () => bob().events.filter(({ event }) => event === 'listening').length === count,
  );

test('a port that says nothing of its DHT: the DHT that answers is used at once, the dead one holds up nobody', async () => {
  const passages = bobAccepts(hyperdht(), deadOpendht());
  await listening(1);
  const mine = await aliceInvites(deadOpendht(), hyperdht());
  open.push(mine);
  await until('bob’s passage', () => passages.length === 1);
  // The dead one is given up after 5 s at the earliest: nobody waited for that.
  expect(alice().lines.filter((line) => line.includes('going on without'))).toEqual([]);
  expect(alice().lines.join('\n')).toContain('the answer came over hyperdht');
  expect(mine.secret).toBe(passages[0]!.secret);
});

test('two that work carry the same invitation, and it stays one session', async () => {
  const passages = bobAccepts(hyperdht(), folder());
  await listening(2);
  const mine = await aliceInvites(folder(), hyperdht());
  open.push(mine);
  await until('bob’s passage', () => passages.length === 1);
  const second = await aliceInvites(hyperdht(), folder());
  open.push(second);
  await until('bob’s second passage', () => passages.length === 2);
  expect(bob().events.filter(({ event }) => event === 'passage')).toHaveLength(2);
  expect(second.secret).toBe(passages[1]!.secret);
});

test('the peer is found on the one that it uses, whichever that is', async () => {
  const passages = bobAccepts(folder());
  await listening(1);
  open.push(await aliceInvites(hyperdht(), folder()));
  await until('bob’s passage', () => passages.length === 1);
  expect(alice().lines.join('\n')).toContain('the answer came over file');
});

test('when none can be reached that is the error, and the other one is told, too', async () => {
  const failed = aliceInvites(deadHyperdht(), deadOpendht());
  await expect(failed).rejects.toMatchObject({ code: 'RENDEZVOUS_UNREACHABLE' });
  const said = await failed.catch((error: Error) => [error.message, ...alice().lines].join('\n'));
  expect(said).toMatch(/HyperDHT/);
  expect(said).toMatch(/OpenDHT/);
});

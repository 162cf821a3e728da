import { once } from 'node:events';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { greetOver } from '../../src/session/carrying.js';
import { invite } from '../../src/session/initiator.js';
import { bringBack } from '../../src/session/reconnecting.js';
import { runAcceptor, runInitiator } from '../../src/session/run.js';
import { firstCount } from '../../src/tunnel/greeting.js';
import { Tunnel } from '../../src/tunnel/tunnel.js';
import { deriveTunnelKeys } from '../../src/wire/tunnel-keys.js';
import { beside, forgedTunnel, echoes as sendAndGet } from '../support/forged-tunnel.js';
import { forge, UDX } from '../support/forger.js';
import { serve, tunnelSettings } from '../support/tunnel.js';
import { type Machine, makeWorld, until } from '../support/world.js';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

/** bob accepts everybody and exports an echo, or imports it; the others are his peers. */
async function scene(imported?: number) {
  const world = await makeWorld('bob@example.org/nas', 'alice@example.org/laptop', 'mallory@example.org/x');
  cleanup.push(world.close);
  const [bob, alice, mallory] = world.machines as [Machine, Machine, Machine];
  const echo = await serve((socket) => socket.pipe(socket));
  cleanup.push(echo.close);
  const stop = new AbortController();
  const line = imported ? { imports: [`${imported}:${echo.port}`] } : { exports: [`${echo.port}`] };
  const tunnel = tunnelSettings(line);
  const accepting = runAcceptor(world.settings(bob, undefined, { tunnel, signal: stop.signal }));
  cleanup.push(() => {
    stop.abort();
    return accepting;
  });
  await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
  const passageOf = (machine: Machine) => invite(world.settings(machine, bob));
  return { world, bob, alice, mallory, echo, passageOf };
}

const HELLO = { exports: [], keeps: true };

async function inviting(machine: Machine, passageOf: (machine: Machine) => ReturnType<typeof invite>) {
  const passage = await passageOf(machine);
  const greeted = await greetOver(passage, HELLO, undefined);
  const states: string[] = [];
  const tunnel = new Tunnel(
    {
      role: 'invite',
      onOpen: () => expect.unreachable('bob opens nothing'),
      reconnectMs: 30_000,
      onLost: () => {
        states.push(tunnel.stats.state);
        void bringBack(tunnel, { hello: HELLO, invite: () => passageOf(machine), log: machine.log });
      },
      log: machine.log,
    },
    greeted,
  );
  cleanup.push(() => tunnel.close('over'));
  return { tunnel, states, token: deriveTunnelKeys(passage.sessionKey ?? Buffer.of(), 'invite').resume };
}

async function echoes(channel: NodeJS.ReadWriteStream, text: string): Promise<void> {
  channel.write(text);
  expect(String((await once(channel, 'data'))[0])).toBe(text);
}

test('a peer comes back over another passage and its connections go on; nobody else can, whatever he knows', async () => {
  const { bob, alice, mallory, echo, passageOf } = await scene();
  const { tunnel, states, token } = await inviting(alice, passageOf);
  const channel = tunnel.connect(`tcp:127.0.0.1:${echo.port}`);
  await echoes(channel, 'first path');

  const stolen = await greetOver(await passageOf(mallory), { ...HELLO, resume: token }, undefined);
  await expect(firstCount(stolen.link)).rejects.toMatchObject({ code: 'TUNNEL_FORGOTTEN' });
  await stolen.link.close(0);
  await echoes(channel, 'still the first path');
  expect(bob.lines.join('')).toContain('mallory@example.org/x wants to go on with a tunnel that is not here');

  tunnel.carrier?.stream.destroy();
  await once(tunnel.carrier?.stream ?? process, 'close');
  expect(states).toEqual(['reconnecting']);
  await echoes(channel, 'said while there was no path');
  expect(tunnel.stats).toMatchObject({ state: 'open', reconnects: 1, opened: 1, channels: 1 });
  await until('bob says so', () => bob.events.some(({ event }) => event === 'reconnected'));
  expect(echo.sockets.size).toBe(1);
});

test('a peer that was started anew says that it knows nothing of the tunnel, and it ends', async () => {
  const { alice, passageOf } = await scene();
  const { tunnel } = await inviting(alice, passageOf);
  // Nobody has a tunnel of this name.
  tunnel.token.fill(7);
  tunnel.carrier?.stream.destroy();
  await expect(tunnel.closed).rejects.toMatchObject({
    code: 'TUNNEL_FORGOTTEN',
    message: 'the peer does not know the tunnel any more',
  });
});

const reset = () => beside((packet) => [forge(packet, UDX.destroy)]);

test('where the peer was started anew imports go on over a fresh tunnel; what was connected is reset, who connects meanwhile waits', async () => {
  const { alice, forger, session, stop, client, dial, forget } = await forgedTunnel();
  await sendAndGet(client, 10_000);
  forget();
  forger.attack = reset();
  // Not once(): a reset is what is expected here.
  const gone = new Promise((resolve) => client.once('close', resolve));
  client.write(Buffer.alloc(50_000));
  await gone;
  // Between two tunnels: not refused, and served by the next one.
  const early = dial();
  const answer = sendAndGet(early, 10_000);
  const opened = () => alice.events.filter(({ event }) => event === 'tunnel-open').length;
  await until('the next tunnel', () => opened() === 2, 30_000);
  await answer;
  await sendAndGet(dial(), 10_000);
  const said = alice.lines.filter((line) => line.includes('was started anew'));
  expect(said).toHaveLength(1);
  expect(said[0]).toContain('another one begins, connections that were open are reset');
  expect(alice.events.find(({ event }) => event === 'tunnel-closed')).toMatchObject({
    reason: 'the peer does not know the tunnel any more',
  });
  expect(alice.events.find(({ event }) => event === 'failed')).toBeUndefined();
  stop.abort();
  expect(await session).toBe(0);
});

test('where the peer was started anew --stdio ends with an error that says so: its connection is gone', async () => {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const { forger, session, forget } = await forgedTunnel({ input, output });
  input.write('first');
  expect(String((await once(output, 'data'))[0])).toBe('first');
  forget();
  forger.attack = reset();
  input.write(Buffer.alloc(50_000));
  await expect(session).rejects.toMatchObject({
    code: 'TUNNEL_FORGOTTEN',
    exitCode: 75,
    hint: expect.stringContaining('start the session again'),
  });
});

test('a peer that was started anew gets the acceptor’s import port, and who connected meanwhile is served; a stranger does not', async () => {
  const free = await serve(() => {});
  await free.close();
  const { world, bob, alice, mallory, echo, passageOf } = await scene(free.port);
  const opened = () => bob.events.filter(({ event }) => event === 'tunnel-open').length;
  const crashing = await greetOver(await passageOf(alice), HELLO, undefined);
  await until('bob listens on the port', () => opened() === 1);
  const dial = () => {
    const socket = connect(free.port, '127.0.0.1');
    socket.on('error', () => {});
    cleanup.push(() => socket.destroy());
    return socket;
  };
  // No word of leave, and nobody who comes back.
  await crashing.link.close(0);
  await until('bob waits for her', () => bob.events.some(({ event }) => event === 'reconnecting'));
  const meanwhile = sendAndGet(dial(), 10_000);

  const stranger = await greetOver(await passageOf(mallory), HELLO, undefined);
  await until('bob has no port for mallory', () =>
    bob.events.some((event) => event.event === 'failed' && event.code === 'TUNNEL_BIND'),
  );
  await stranger.link.close(0);

  const stop = new AbortController();
  const tunnel = tunnelSettings({ exports: [`${echo.port}`] });
  const session = runInitiator(world.settings(alice, bob, { tunnel, signal: stop.signal }));
  cleanup.push(() => {
    stop.abort();
    return session;
  });
  await meanwhile;
  expect(opened()).toBe(2);
  await sendAndGet(dial(), 10_000);
  expect(bob.lines.join('')).toContain('a later session of the same peer took its place');
});

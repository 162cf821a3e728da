import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import { accept } from '../../src/session/acceptor.js';
import { invite } from '../../src/session/initiator.js';
import { LivingTunnels } from '../../src/session/living.js';
import { runTunnels } from '../../src/session/starting-over.js';
import type { StdioStreams } from '../../src/tunnel/stdio.js';
import { parseTarget } from '../../src/wire/tunnel-target.js';
import { type Attack, Forger, type ForgerOptions, UDX } from './forger.js';
import { serve, tunnelSettings } from './tunnel.js';
import { type Machine, makeWorld, until } from './world.js';

/**
 * alice imports bob's echo; every datagram of theirs passes a forger. `forget` makes bob what he would be after a
 * crash: somebody who knows nothing of the tunnels before. `attack` is there from the very first datagram.
 */
export async function forgedTunnel(streams?: StdioStreams, attack?: Attack, options?: ForgerOptions) {
  const world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  onTestFinished(() => world.close());
  const [alice, bob] = world.machines as [Machine, Machine];
  const echo = await serve((socket) => socket.pipe(socket));
  onTestFinished(() => echo.close());
  const free = await serve(() => {});
  await free.close();
  const forger = new Forger(options);
  forger.attack = attack;
  onTestFinished(() => forger.close());
  const [stop, stopAccepting] = [new AbortController(), new AbortController()];
  let living = new LivingTunnels();
  const theirs = world.settings(bob, alice, { signal: stopAccepting.signal });
  const accepting = (async () => {
    const exported = tunnelSettings({ exports: [`${echo.port}`] });
    const running: Promise<unknown>[] = [];
    for await (const passage of accept(theirs)) {
      running.push(runTunnels(await forger.via(passage), exported, theirs, { living }).catch(() => {}));
    }
    await Promise.all(running);
  })();
  onTestFinished(async () => {
    stop.abort();
    stopAccepting.abort();
    await accepting;
  });
  await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
  const own = world.settings(alice, bob, { signal: stop.signal });
  const imported = tunnelSettings(
    { imports: [`${free.port}:${echo.port}`] },
    streams && { stdio: { ...streams, target: parseTarget(`${echo.port}`) } },
  );
  const session = runTunnels(await forger.via(await invite(own)), imported, own, {
    invite: async (signal) => forger.via(await invite({ ...own, signal })),
  });
  session.catch(() => {});
  await until('the tunnel', () => alice.events.some(({ event }) => event === 'tunnel-open'));
  const dial = () => {
    const socket = connect(free.port, '127.0.0.1');
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
    return socket;
  };
  const forget = () => {
    living = new LivingTunnels();
  };
  return { alice, forger, session, stop, client: dial(), dial, forget };
}

/** Sends `bytes` and waits until the very same are back. */
export async function echoes(client: Socket, bytes: number): Promise<void> {
  const data = randomBytes(bytes);
  const got: Buffer[] = [];
  let left = bytes;
  await new Promise<void>((resolve, reject) => {
    client.on('close', () => reject(new Error('the connection ended')));
    client.on('data', (piece: Buffer) => {
      got.push(piece);
      left -= piece.length;
      if (left <= 0) resolve();
    });
    client.write(data);
  });
  client.removeAllListeners('data').removeAllListeners('close');
  expect(Buffer.concat(got).equals(data)).toBe(true);
}

export type Make = (packet: Buffer) => readonly Buffer[];
export const carriesData = (packet: Buffer) => ((packet[2] ?? 0) & UDX.data) !== 0 && packet.length > 500;

/** Once, beside a packet with data that the inviter (or the acceptor) sends. */
export function beside(make: Make, byInviter = true): Attack {
  let done = false;
  return (packet, fromInviter) => {
    if (done || fromInviter !== byInviter || !carriesData(packet)) return undefined;
    done = true;
    return { packets: make(packet) };
  };
}

import type { AddressInfo, Server } from 'node:net';
import { createServer, type Socket } from 'node:net';
import type { RendezvousSettings } from '../../src/rendezvous/registry.js';
import type { AwlEvent } from '../../src/session/events.js';
import { runAcceptor, runInitiator } from '../../src/session/run.js';
import type { TunnelSettings } from '../../src/session/tunnel.js';
import { parseExport, parseImport } from '../../src/wire/tunnel-target.js';
import { makeWorld, until, type World } from './world.js';

/** A TCP server on a port of its own; `sockets` are those that are open. */
export interface TestServer {
  readonly port: number;
  readonly server: Server;
  readonly sockets: Set<Socket>;
  close(): Promise<void>;
}

export async function serve(serveOne: (socket: Socket) => void): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    serveOne(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    server,
    sockets,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Tunnel settings as typed on a command line, with --udp-only unless `more` says otherwise. */
export function tunnelSettings(
  o: { exports?: string[]; imports?: string[] },
  more: Partial<TunnelSettings> = {},
): TunnelSettings {
  return {
    exports: (o.exports ?? []).map(parseExport),
    imports: (o.imports ?? []).flatMap(parseImport),
    udpOnly: true,
    ...more,
  };
}

/** Two machines with a tunnel between them over a passage that was really punched, on loopback. */
export interface TunnelPair {
  readonly world: World;
  /** Ends of both sessions: the exit status, or the error. */
  readonly alice: Promise<number>;
  readonly bob: Promise<number>;
  readonly stopAlice: AbortController;
  readonly stopBob: AbortController;
  lines(who: 'alice' | 'bob'): string;
  event<E extends AwlEvent['event']>(
    who: 'alice' | 'bob',
    name: E,
  ): Extract<AwlEvent, { event: E }> | undefined;
  close(): Promise<void>;
}

/** Where letters lie that are to travel another way than through a folder. */
export interface Letters {
  readonly names: readonly [alice: string, bob: string];
  rendezvous(who: 'alice' | 'bob'): RendezvousSettings;
}

/** How long a rendezvous may take on a busy machine. */
const LETTERS_MS = 30_000;

/** bob accepts, alice invites; resolves when both ends of the tunnel are open. */
export async function openPair(
  alice: TunnelSettings,
  bob: TunnelSettings,
  letters?: Letters,
): Promise<TunnelPair> {
  const world = await makeWorld(...(letters?.names ?? ['alice@example.org/laptop', 'bob@example.org/nas']));
  const [a, b] = [world.machines[0]!, world.machines[1]!];
  const [stopAlice, stopBob] = [new AbortController(), new AbortController()];
  const by = (who: 'alice' | 'bob') => letters && { rendezvous: letters.rendezvous(who) };
  const accepting = runAcceptor(
    world.settings(b, a, { tunnel: bob, once: true, signal: stopBob.signal, ...by('bob') }),
  );
  accepting.catch(() => {});
  const listens = () => b.events.some(({ event }) => event === 'listening');
  await until('bob listening', listens, LETTERS_MS);
  const inviting = runInitiator(
    world.settings(a, b, { tunnel: alice, signal: stopAlice.signal, ...by('alice') }),
  );
  inviting.catch(() => {});
  const ready = (events: readonly AwlEvent[]) =>
    events.some(({ event }) => event === 'tunnel-open' || event === 'tunnel-closed' || event === 'failed');
  const failed = inviting.then(
    () => true,
    () => true,
  );
  let over = false;
  void failed.then(() => {
    over = true;
  });
  await until('both ends open', () => over || (ready(a.events) && ready(b.events)), LETTERS_MS);
  return {
    world,
    alice: inviting,
    bob: accepting,
    stopAlice,
    stopBob,
    lines: (who) => (who === 'alice' ? a : b).lines.join(''),
    event: (who, name) => {
      const { events } = who === 'alice' ? a : b;
      return events.find(({ event }) => event === name) as never;
    },
    close: async () => {
      stopAlice.abort();
      stopBob.abort();
      await Promise.allSettled([inviting, accepting]);
      await world.close();
    },
  };
}

/** The port that a side's import listens on. */
export function importPort(pair: TunnelPair, who: 'alice' | 'bob', index = 0): number {
  const at = pair.event(who, 'tunnel-open')?.imports[index] ?? '';
  return Number(at.split(':').at(-1));
}

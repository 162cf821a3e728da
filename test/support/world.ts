import { type IdentityName, parseName } from '../../src/identity/names.js';
import { exportIdentity, trustIdentity } from '../../src/identity/onboarding.js';
import { createLogger, type Logger } from '../../src/log.js';
import type { AwlEvent } from '../../src/session/events.js';
import type { AcceptorSettings, SessionSettings } from '../../src/session/settings.js';
import { StunServer } from '../../src/stun/server.js';
import { storedIdentity } from './key-store.js';
import { tempDir } from './tmp.js';

/** One machine of a test: its repository, its state folder, what it logged and which events it sent. */
export interface Machine {
  readonly name: IdentityName;
  readonly repo: string;
  readonly stateDir: string;
  readonly log: Logger;
  readonly lines: string[];
  readonly events: AwlEvent[];
}

/** Two or more machines that trust each other, a STUN server and a shared folder, all on loopback. */
export interface World {
  readonly machines: readonly Machine[];
  readonly stun: StunServer;
  readonly folder: string;
  settings(machine: Machine, peer: Machine | undefined, more?: Partial<AcceptorSettings>): SessionSettings;
  close(): Promise<void>;
}

async function makeMachine(name: string): Promise<Machine> {
  const folder = tempDir();
  const lines: string[] = [];
  const repo = `${folder}/repo`;
  await storedIdentity(repo, parseName(name));
  return {
    name: parseName(name),
    repo,
    stateDir: `${folder}/state`,
    lines,
    log: createLogger({ level: 'trace', write: (line) => lines.push(line) }),
    events: [],
  };
}

/** Everyone trusts everyone. */
export async function makeWorld(...names: string[]): Promise<World> {
  const machines = await Promise.all(names.map(makeMachine));
  for (const one of machines) {
    const bundle = await exportIdentity(one.repo, one.name);
    for (const other of machines) if (other !== one) await trustIdentity(other.repo, bundle);
  }
  const stun = await StunServer.start({ addresses: ['127.0.0.1'], port: 0, altPort: 0 });
  const folder = tempDir();
  return {
    machines,
    stun,
    folder,
    settings: (machine, peer, more = {}) => ({
      app: 'test',
      repo: machine.repo,
      host: machine.name,
      peer: peer?.name ?? {},
      stun: [{ host: '127.0.0.1', port: stun.layout.port }],
      bind: { address: '127.0.0.1', port: 0 },
      rendezvous: { name: 'file', folder },
      allowLoopback: true,
      stateDir: machine.stateDir,
      log: machine.log,
      onEvent: (event) => machine.events.push(event),
      ...more,
    }),
    close: () => stun.close(),
  };
}

/** Waits until `test` holds; a bounded wait that says what did not happen. */
export async function until(what: string, test: () => boolean, ms = 8000): Promise<void> {
  const limit = performance.now() + ms;
  while (!test()) {
    if (performance.now() > limit) throw new Error(`${what} did not happen within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

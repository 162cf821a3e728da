import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { launch, type PayloadExit } from '../../src/launch/exec.js';
import type { WildcardValues } from '../../src/launch/wildcards.js';
import { silentLogger } from '../../src/log.js';
import type { Lab } from './lab.js';

const DEFAULT_ARGS = '%innerip% %innerport% %outerip% %outerport% %peerip% %peerport%';

/** Two punched endpoints: the lab's port-restricted NATs keep the port, so the hooks' own datagrams open the path. */
export const PORTS = { a: 41811, b: 41812 };

let runs = 0;

/** One hook that runs in the namespace of one side, started as awl starts it. */
export interface RunningHook {
  /** What it printed so far. */
  output(): Promise<string>;
  /** Ends it as an aborted session does. */
  stop(): Promise<PayloadExit>;
}

/**
 * Starts `scripts/<script>` behind one side's NAT. Side a is alice, who invites.
 * @param dir where its log goes
 */
export function startHook(
  lab: Lab,
  side: 'a' | 'b',
  script: string,
  dir: string,
  values: Pick<WildcardValues, 'secret'> & Partial<WildcardValues>,
  env: readonly string[] = [],
): RunningHook {
  const path = fileURLToPath(new URL(`../../scripts/${script}`, import.meta.url));
  const other = side === 'a' ? 'b' : 'a';
  const names = { a: { owner: 'alice', pin: 'laptop' }, b: { owner: 'bob', pin: 'nas' } };
  const controller = new AbortController();
  const log = join(dir, `${side}-${++runs}.log`);
  const ended = launch(
    { command: 'ip', args: `netns exec ${lab.ns(side)} '${path}' ${DEFAULT_ARGS}`, log, env },
    {
      role: side === 'a' ? 'invite' : 'accept',
      inner: { address: '0.0.0.0', port: PORTS[side] },
      outer: { address: lab.addr[`nat${side}`] ?? '', port: PORTS[side] },
      peer: { address: lab.addr[`nat${other}`] ?? '', port: PORTS[other] },
      hostName: names[side],
      peerName: names[other],
      ...values,
    },
    { log: silentLogger, signal: controller.signal },
  );
  // Until somebody waits for it in stop(), a failure must not count as unhandled.
  ended.catch(() => {});
  return {
    output: () => readFile(log, 'utf8').catch(() => ''),
    stop: () => {
      controller.abort();
      return ended;
    },
  };
}

/** True once one ping goes through the tunnel from the side to `address`. */
export async function pings(lab: Lab, side: 'a' | 'b', address: string): Promise<boolean> {
  return (await lab.run(side, 'ping', ['-c', '1', '-W', '1', address], { timeoutMs: 5000 })).status === 0;
}

/** Names of the interfaces on a side. */
export async function interfaces(lab: Lab, side: 'a' | 'b'): Promise<string[]> {
  const { stdout } = await lab.run(side, 'ip', ['-o', 'link', 'show']);
  return [...stdout.matchAll(/^\d+: ([^:@]+)/gm)].map((match) => match[1] ?? '').sort();
}

/** A self-signed certificate as plexus' documentation makes them; returns the paths. */
export async function makeCertificate(dir: string, name: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)];
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', `/CN=${name}`];
  await promisify(execFile)('openssl', [...args, '-keyout', key, '-out', cert]);
  return { cert, key };
}

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseName } from '../../src/identity/names.js';
import { silentLogger } from '../../src/log.js';
import { openRendezvous } from '../../src/rendezvous/registry.js';
import { formatEndpoint } from '../../src/util/endpoint.js';
import { Lab, type LabOptions } from '../support/lab.js';
import { LabPair, NAMES } from '../support/lab-awl.js';
import { MiniUpnpd } from '../support/miniupnpd.js';
import { needs } from '../support/needs.js';
import { type Keys, plexusOpen, plexusReference, plexusSeal } from '../support/plexus-model.js';

const PROGRAM = fileURLToPath(new URL('../fixtures/programs/plexus-peer.mjs', import.meta.url));

type Role = 'invite' | 'accept';

interface Meeting extends LabOptions {
  /** Of the awl, which is Bob at b; Alice's plexus is at a. */
  readonly role: Role;
  readonly router?: boolean;
}

/** An awl behind one kernel NAT and a plexus 3.1.4 behind another: what awl said of it, and how the plexus' payload ended. */
async function meet({ role, router, ...options }: Meeting) {
  const lab = await Lab.up('alone', { hops: 6, ...options });
  const stop = new AbortController();
  try {
    await lab.stun();
    // The daemon maps ports for A, so the sides change places.
    const [ours, theirs] = router ? (['a', 'b'] as const) : (['b', 'a'] as const);
    if (router) await MiniUpnpd.start(lab, 'nata');
    const pair = await LabPair.make();
    const rendezvous = await openRendezvous(
      { name: 'file', folder: pair.letters },
      { log: silentLogger, now: () => new Date() },
    );
    await rendezvous.prepare(stop.signal);
    const [alice, bob] = [parseName(NAMES.a), parseName(NAMES.b)];
    const repo = pair.repo('a');
    const keys = (name: typeof alice): Keys => {
      const folder = join(repo, name.owner, name.pin);
      return { cert: join(folder, 'cert.crt'), key: join(folder, 'private.key') };
    };
    const child = lab.spawn(theirs, process.execPath, [PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (!child.stdin || !child.stdout) throw new Error('no pipes');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const heard = async () => JSON.parse((await lines.next()).value ?? '{}') as Record<string, unknown>;
    const { endpoint } = await heard();
    const own = randomBytes(8).readBigUInt64LE();
    const push = (kind: Role) => {
      const text = `PLEXUS 3.0 ${String(endpoint).replace(':', ' ')} ${own}`;
      const bytes = plexusSeal(text, keys(alice), keys(bob).cert);
      return rendezvous.push({ app: 'test', kind, from: alice, to: bob, form: 'smime', bytes }, stop.signal);
    };
    const pull = async (kind: Role) => {
      for await (const one of rendezvous.listen({ app: 'test', kind, from: bob, to: alice }, stop.signal))
        return plexusReference(plexusOpen(one.bytes, keys(alice), keys(bob).cert));
      throw new Error(`no ${kind} came`);
    };
    const mode = role === 'accept' ? 'echo' : 'hello';
    const args = ['--stun-server=192.0.2.10', ...(role === 'accept' ? ['--accept', '--once'] : [])];
    const awl = pair.start(lab, ours, 'b', ...args, ...pair.exec(mode));
    let letter: Awaited<ReturnType<typeof pull>>;
    if (role === 'accept') {
      await awl.event('listening');
      await awl.event('nat');
      await push('invite');
      letter = await pull('accept');
    } else {
      letter = await pull('invite');
      await push('accept');
    }
    const order = { role: role === 'accept' ? 'invite' : 'accept', peer: formatEndpoint(letter.endpoint) };
    const payload = role === 'accept' ? 'hello' : 'echo';
    child.stdin.write(`${JSON.stringify({ ...order, secret: String(own ^ letter.puzzle), payload })}\n`);
    const begun = performance.now();
    const passage = await Promise.race([awl.event('passage'), awl.event('failed')]);
    const ms = performance.now() - begun;
    const result = passage.event === 'passage' ? await heard().then(heard) : undefined;
    if (passage.event === 'passage') await awl.ended;
    return { passage, ms, result, output: awl.output, reference: letter.endpoint };
  } finally {
    stop.abort();
    await lab.down();
  }
}

describe.skipIf(!needs('root', 'ip', 'nft', 'python3', 'openssl'))(
  'a plexus 3.1.4 and an awl behind kernel NATs',
  () => {
    test.each([
      ['accept', 'port-restricted'],
      ['invite', 'port-restricted'],
    ] as const)('awl behind a NAT that counts, %s side, the plexus behind a %s one', async (role, a) => {
      const { passage, result, output, reference } = await meet({ role, a, b: 'symmetric-sequential' });
      expect(passage, output).toMatchObject({ event: 'passage', how: 'predicted', confirmed: false });
      expect(passage).toMatchObject({ outer: formatEndpoint(reference) });
      expect(result).toEqual({ status: 0 });
    });

    test.skipIf(!needs('miniupnpd'))(
      'awl accepts behind a symmetric NAT whose router forwards a port',
      async () => {
        const o = { role: 'accept', router: true, a: 'symmetric', b: 'port-restricted' } as const;
        const { passage, result, output } = await meet({ ...o, publicA: '44.55.66' });
        expect(passage, output).toMatchObject({
          event: 'passage',
          outer: expect.stringMatching(/^44\.55\.66\.10:/),
        });
        expect(result).toEqual({ status: 0 });
      },
    );
  },
);

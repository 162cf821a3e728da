import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NatReport } from '../../src/wire/nat-report.js';
import type { Lab } from '../support/lab.js';

const PROGRAM = fileURLToPath(new URL('../fixtures/programs/punch-peer.mjs', import.meta.url));
const BUILT = fileURLToPath(new URL('../../dist/punch/puncher.js', import.meta.url));

export interface SideResult {
  readonly ok: boolean;
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
  /** Where it failed: how long it took. */
  readonly punchMs?: number;
  readonly peer?: string;
  readonly how?: string;
  readonly confirmed?: boolean;
  readonly provenBy?: string;
  readonly stats?: {
    readonly sent: number;
    readonly sentBytes: number;
    readonly provenMs: number;
    readonly elapsedMs: number;
  };
  readonly echo?: boolean;
}

export interface PairOptions {
  readonly hops?: number;
  readonly timeoutMs?: number;
  readonly confirmKey?: string;
  readonly reports?: Readonly<Record<'a' | 'b', NatReport>>;
  /** How long after the acceptor the inviter starts. */
  readonly inviterLateMs?: number;
}

interface Side {
  next(): Promise<Record<string, unknown>>;
  tell(order: unknown): void;
  ended(): Promise<void>;
}

function start(lab: Lab, role: 'a' | 'b'): Side {
  const child = lab.spawn(role, process.execPath, [PROGRAM], { stdio: ['pipe', 'pipe', 'pipe'] });
  const { stdin, stdout, stderr } = child;
  if (!stdin || !stdout || !stderr) throw new Error('the peer program has no pipes');
  stdin.on('error', () => {});
  let complaints = '';
  stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const exit = once(child, 'exit');
  return {
    async next() {
      const line = await lines.next();
      if (line.done) throw new Error(`side ${role} ended early: ${complaints}`);
      return JSON.parse(line.value) as Record<string, unknown>;
    },
    tell: (order) => stdin.write(`${JSON.stringify(order)}\n`),
    async ended() {
      await exit;
    },
  };
}

/** Punches from a to b in the lab, one of them as the inviter; both results, with the echo over the new path. */
export async function punchPair(
  lab: Lab,
  inviter: 'a' | 'b',
  o: PairOptions = {},
): Promise<Readonly<Record<'invite' | 'accept', SideResult>>> {
  if (!existsSync(BUILT)) throw new Error('dist/ is missing: run npm run build first');
  const sides = { a: start(lab, 'a'), b: start(lab, 'b') };
  const endpoint = { a: (await sides.a.next())['endpoint'], b: (await sides.b.next())['endpoint'] };
  const results = await Promise.all(
    (['a', 'b'] as const).map(async (name): Promise<SideResult> => {
      const other = name === 'a' ? 'b' : 'a';
      const role = name === inviter ? 'invite' : 'accept';
      sides[name].tell({
        role,
        peer: endpoint[other],
        secret: '1537732126717276277',
        hops: o.hops ?? 7,
        timeoutMs: o.timeoutMs ?? 15_000,
        ...(o.confirmKey ? { confirmKey: o.confirmKey } : {}),
        ...(o.reports ? { reports: { own: o.reports[name], peer: o.reports[other] } } : {}),
        ...(role === 'invite' ? { startInMs: o.inviterLateMs ?? 0 } : {}),
      });
      const result = (await sides[name].next()) as unknown as SideResult;
      const echo = result.ok ? { echo: (await sides[name].next())['echo'] === true } : {};
      await sides[name].ended();
      return { ...result, ...echo };
    }),
  );
  const [a, b] = results;
  if (!a || !b) throw new Error('a side has no result');
  return inviter === 'a' ? { invite: a, accept: b } : { invite: b, accept: a };
}

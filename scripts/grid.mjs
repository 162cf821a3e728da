// The kernel grid: two awls behind every pair of NAT types, each inviting once, with a payload that must get through.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gridPage } from './grid-page.mjs';
import { introduce, Lab, partyFlags, root, sleep } from './lab.mjs';

const HELP = `scripts/grid: tries every pair of NATs in both roles through real kernel NATs; needs root, ip, nft, python3.

  --types A,B       NAT types of docs/NETLAB.md for both sides (default: those of the page)
  --pairs A:B,C:D   these pairs only, inviter first
  --sides ab        the side of the lab that invites: a, b, or one after the other (ab)
  --feasible        leave out the pairs that are not expected to connect
  --hops 4          routers between the NATs
  --delay 12.5ms    one way on each access link
  --loss 20%        each way on each access link
  --tries 3         a pair that failed is tried again, up to so many times in all
  --jobs 3          sessions side by side
  --json FILE       write the results there, too
  --out FILE        the page (default, for the whole grid without delay and loss: docs/NAT-GRID.md)
  --from A,B        measure nothing; make the page (--out) from such results, of one link or several
  --show            print both logs of every session
`;
const TYPES = 'none,full-cone,restricted,port-restricted,symmetric,symmetric-sequential,cgnat,hostile';
const SESSION_MS = 45_000;
const payload = join(root, 'scripts/demo-payload.mjs');

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', default: false },
        types: { type: 'string', default: TYPES },
        pairs: { type: 'string' },
        jobs: { type: 'string', default: '3' },
        hops: { type: 'string', default: '4' },
        delay: { type: 'string' },
        loss: { type: 'string' },
        tries: { type: 'string', default: '3' },
        sides: { type: 'string', default: 'ab' },
        feasible: { type: 'boolean', default: false },
        json: { type: 'string' },
        out: { type: 'string' },
        from: { type: 'string' },
        show: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    process.stderr.write(`scripts/grid: ${error.message}\n${HELP}`);
    process.exit(64);
  }
}

const o = readOptions();
const link = { hops: Number(o.hops), ...(o.delay && { delay: o.delay }), ...(o.loss && { loss: o.loss }) };

let labs = 0;

/** A random symmetric NAT and another one that moves: 64 512 ports, and no way to tell which. */
function hopeless(a, b) {
  return (a === 'symmetric' && b.startsWith('symmetric')) || (b === 'symmetric' && a.startsWith('symmetric'));
}

/** One session of inviter and acceptor; what came of it on both sides. */
async function session(folder, a, b, side) {
  const own = mkdtempSync(join(folder, 'lab-'));
  const other = side === 'a' ? 'b' : 'a';
  const emulated = [o.delay && `--delay=${o.delay}`, o.loss && `--loss=${o.loss}`].filter(Boolean);
  const flags = [`--${side}=${a}`, `--${other}=${b}`, `--hops=${o.hops}`, ...emulated];
  labs += 1;
  const lab = new Lab(`grid${process.pid}x${labs}`, flags);
  const start = (role, mode, ...args) =>
    lab.awl(
      role,
      ...['--app-id=grid', ...partyFlags(folder, role), `--state-dir=${Lab.folder(join(own, role))}`],
      ...['--rendezvous=file', `--file-dir=${Lab.folder(join(own, 'mail'))}`, '--log-level=debug'],
      `--exec-command=${process.execPath}`,
      `--exec-args=${payload} ${mode} %innerip% %innerport% %peerip% %peerport%`,
      ...args,
    );
  let timer;
  try {
    await lab.stun();
    const bob = start(other, 'echo', '--accept', '--once');
    await lab.until(bob, 'listening');
    // A laptop that accepts measured its NAT long before anybody called, if its STUN server could be reached at all.
    await lab.until(bob, 'nat').catch(() => {});
    const alice = start(side, 'hello');
    const limit = new Promise((done) => {
      timer = setTimeout(done, SESSION_MS);
    });
    const status = await Promise.race([alice.ended, limit]);
    await Promise.race([bob.ended, sleep(3000)]);
    const result = { ok: status === 0, status, ...measure(alice, bob) };
    if (o.show || !result.ok) result.log = `${alice.log}\n${bob.log}`;
    return result;
  } finally {
    clearTimeout(timer);
    lab.down();
  }
}

function measure(alice, bob) {
  const first = (side, event) => side.events[event]?.[0];
  const punched = (side) =>
    /punch: (\d+) datagrams.*?, (\d+) of the wide.*?(?:nothing proven|proven after (\d+))/.exec(side.log);
  const [, sentA, wideA, proven] = punched(alice) ?? [];
  const [, sentB, wideB] = punched(bob) ?? [];
  const failure = first(alice, 'failed') ?? first(bob, 'failed');
  const [won, theirs] = [first(alice, 'passage'), first(bob, 'passage')];
  // Each side's own clock: an acceptor's time includes the way of its answer.
  const since = (side, event) => {
    const answered = first(side, 'answered');
    return event && answered ? event.ms - answered.ms : undefined;
  };
  return {
    how: [won?.how, theirs?.how],
    provenMs: proven === undefined ? undefined : Number(proven),
    passageMs: won ? since(alice, won) : failedMs(alice),
    bothMs: won && theirs && Math.max(since(alice, won), since(bob, theirs)),
    sent: [Number(sentA ?? 0), Number(sentB ?? 0)],
    wide: [Number(wideA ?? 0), Number(wideB ?? 0)],
    code: failure?.code,
    // Each payload was told the own endpoint that the other side sees.
    seen: [won?.outer === theirs?.alien, theirs?.outer === won?.alien],
  };
}

/** When the inviter gave up: that event has no time of its own. */
function failedMs({ events: { answered, failed } }) {
  return answered && failed ? failed[0].at - answered[0].at : undefined;
}

function words(result) {
  if (!result.ok) return `FAILED ${result.code ?? result.status} after ${result.passageMs} ms`;
  const { how, provenMs, passageMs, bothMs, attempt } = result;
  return `${how.join(' / ')}, proven ${provenMs} ms, passage ${passageMs} ms, both ${bothMs} ms, try ${attempt}`;
}

function save(results) {
  if (o.json) writeFileSync(o.json, JSON.stringify(results, undefined, 1));
}

async function work(folder, queue, results) {
  for (let next = queue.shift(); next; next = queue.shift()) {
    const [a, b, side] = next;
    let result;
    // Pairs that are not expected to connect: one try says how they end.
    const tries = hopeless(a, b) ? 1 : Number(o.tries);
    for (let attempt = 1; attempt <= tries; attempt++) {
      result = { ...(await session(folder, a, b, side)), attempt };
      if (result.ok) break;
    }
    results.push({ a, b, side, link, ...result, log: undefined });
    // After each pair: a run that is cut short is of use, too.
    save(results);
    const counts = `sent ${result.sent.join(' + ')}, wide ${result.wide.join(' + ')}`;
    console.log(`${a} -> ${b} (${side} invites): ${words(result)}, ${counts}`);
    if (result.log) console.log(result.log);
  }
}

/** Runs every pair; the results in the order in which they came. */
async function measureAll() {
  const types = o.types.split(',');
  const pairs = (
    o.pairs
      ? o.pairs.split(',').map((pair) => pair.split(':'))
      : types.flatMap((inviter) => types.map((acceptor) => [inviter, acceptor]))
  ).filter(([a, b]) => !o.feasible || !hopeless(a, b));
  const folder = mkdtempSync(join(tmpdir(), 'awl-grid-'));
  const results = [];
  try {
    await introduce(folder);
    // Each type then stands on each side of the lab in each role.
    const queue = [...o.sides].flatMap((side) => pairs.map((pair) => [...pair, side]));
    await Promise.all(Array.from({ length: Number(o.jobs) }, () => work(folder, queue, results)));
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (o.help) process.stdout.write(HELP);
else {
  const results = o.from
    ? o.from.split(',').flatMap((file) => JSON.parse(readFileSync(file, 'utf8')))
    : await measureAll();
  save(results);
  const whole = !o.pairs && o.types === TYPES && o.sides === 'ab' && !o.delay && !o.loss && !o.feasible;
  const out = o.out ?? (whole ? join(root, 'docs/NAT-GRID.md') : undefined);
  if (out) writeFileSync(out, gridPage(TYPES.split(','), results, hopeless));
  const wrong = results.filter(({ a, b, ok }) => ok === hopeless(a, b));
  const direct = results.filter(({ ok }) => ok);
  const first = direct.filter(({ attempt }) => attempt === 1).length;
  console.log(
    `${direct.length} of ${results.length} pairs direct, ${first} at the first try, ${wrong.length} not as expected`,
  );
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

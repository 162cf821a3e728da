// The page that scripts/grid writes.
import { median } from './lab.mjs';

const high = (list) => Math.max(...list);
const isEasy = ({ a, b }) => !`${a}${b}`.includes('symmetric');
/** Ports are searched at random: one side draws them, and the other takes datagrams of known places only. */
const isBirthday = ({ a, b }) => {
  const strict = ['port-restricted', 'cgnat', 'hostile'];
  return (a === 'symmetric' && strict.includes(b)) || (b === 'symmetric' && strict.includes(a));
};

/** docs/NAT-GRID.md from the results of all pairs, over one kind of link or several. */
export function gridPage(types, results, hopeless) {
  const links = new Map();
  for (const one of results) {
    const key = JSON.stringify(one.link);
    links.set(key, [...(links.get(key) ?? []), one]);
  }
  const sections = [...links.values()]
    .sort((x, y) => rank(x[0].link) - rank(y[0].link))
    .map((list) => section(types, list, hopeless));
  return [
    '# The NAT grid',
    '',
    'Made by `scripts/grid`: two awls behind every pair of kernel NATs of [NETLAB.md](NETLAB.md), each side inviting once (the row',
    'invites, the column accepts), with a payload that has to get through. Do not edit by hand.',
    '',
    'Each cell: the rung that won as the inviter and the acceptor saw it; the time from both references known to the authenticated path;',
    'on links with delay or loss also to the path in the hands of both sides; datagrams sent by inviter + acceptor. One line for each side',
    'of the lab that the inviter was on. `-`: no path, as expected.',
    '',
    'A path is authenticated a round trip after the inviter’s first datagram. Its choice and the answer to it, another one, put it into the',
    'inviter’s hands; the acceptor hands its own on 100 ms after the choice, in case the inviter asks again, or as soon as the tunnel’s first',
    'datagram arrives. Its times include the way of its answer to the inviter.',
    '',
    ...sections.flat(),
    ...IMPOSSIBLE,
  ].join('\n');
}

const rank = ({ delay, loss }) => (loss ? 2 + Number.parseFloat(loss) : 0) + (delay ? 1 : 0);

/** From one side to the other, over both access links, in per cent. */
const lostOf = (loss) => (100 * (1 - (1 - Number.parseFloat(loss) / 100) ** 2)).toFixed(0);

function title({ delay, loss }) {
  if (!delay && !loss) return 'Without delay and loss';
  const rtt = delay && `a round trip of ${4 * Number.parseFloat(delay)} ms`;
  return `With ${[rtt, loss && `${lostOf(loss)} % lost from one side to the other`].filter(Boolean).join(' and ')}`;
}

function describe({ hops, delay, loss }) {
  const parts = [
    `${hops} routers between the NATs`,
    `${delay ?? 'no'} delay one way on each access link`,
    loss
      ? `${loss} of the datagrams lost on each access link in each direction, so ${lostOf(loss)} % from one side to the other`
      : 'no loss',
  ];
  return `${parts.join(', ')}.`;
}

function section(types, results, hopeless) {
  const [{ link }] = results;
  const slow = Boolean(link.delay || link.loss);
  const feasible = results.filter(({ a, b }) => !hopeless(a, b));
  const direct = feasible.filter(({ ok }) => ok);
  const first = direct.filter(({ attempt }) => attempt === 1);
  const kinds = {
    'without a symmetric NAT': direct.filter(isEasy),
    'with a symmetric NAT on one side or both': direct.filter((one) => !isEasy(one)),
    'of these, ports searched at random': direct.filter(isBirthday),
  };
  const cell = (a, b) =>
    results
      .filter((one) => one.a === a && one.b === b)
      .map((one) => entry(one, hopeless, slow))
      .join('<br>');
  const rows = types.filter((type) => results.some(({ a }) => a === type));
  const columns = types.filter((type) => results.some(({ b }) => b === type));
  return [
    `## ${title(link)}`,
    '',
    describe(link),
    '',
    `**${direct.length} of ${feasible.length} feasible pairs direct, ${first.length} of them at the first try (${((100 * first.length) / feasible.length).toFixed(1)} %).**`,
    '',
    ...Object.entries(kinds).flatMap(([what, list]) => (list.length > 0 ? [summary(what, list)] : [])),
    ...(link.loss ? [lateness(direct)] : []),
    ...(direct.length < feasible.length ? [failures(feasible)] : []),
    `* datagrams outside the wide rungs: ${high(results.flatMap(({ sent, wide }) => sent.map((n, i) => n - wide[i])))} at most from one side`,
    '',
    `| inviter \\ acceptor | ${columns.join(' | ')} |`,
    `|---|${columns.map(() => '---').join('|')}|`,
    ...rows.map((a) => `| ${a} | ${columns.map((b) => cell(a, b)).join(' | ')} |`),
    '',
  ];
}

function failures(feasible) {
  const failed = feasible
    .filter(({ ok }) => !ok)
    .map(({ a, b, code, status }) => `${a} to ${b} (${code ?? status})`);
  return (
    `* failed: ${failed.join(', ')}. A letter leaves before the NAT is measured to the end; where the STUN server’s answers ` +
    'are lost, a NAT that counts may be taken for one that does not'
  );
}

/** How many were slower than they should be. */
function lateness(direct) {
  const late = direct.filter((one) => one.bothMs > (isBirthday(one) ? 12_000 : 5_000));
  const list = late.map(({ a, b, bothMs }) => `${a} to ${b} in ${bothMs} ms`).join(', ') || 'none';
  return `* in both sides’ hands later than after 5 s, or 12 s where ports are searched at random: ${list}`;
}

function summary(what, list) {
  const proven = list.flatMap(({ provenMs }) => provenMs ?? []);
  const handed = list.flatMap(({ passageMs }) => passageMs ?? []);
  const both = list.flatMap(({ bothMs }) => bothMs ?? []);
  return (
    `* ${what}: ${list.length} pairs; authenticated: median ${median(proven)} ms, slowest ${high(proven)} ms; in the inviter's hands: ` +
    `median ${median(handed)} ms; in both: median ${median(both)} ms, slowest ${high(both)} ms`
  );
}

function entry(r, hopeless, slow) {
  if (!r.ok) {
    return hopeless(r.a, r.b)
      ? `- (${r.code} in ${(r.passageMs / 1000).toFixed(1)} s)`
      : `FAILED ${r.code ?? r.status}`;
  }
  const how = r.how[0] === r.how[1] ? r.how[0] : r.how.join('/');
  const ms = slow ? `${r.provenMs} (${r.bothMs}) ms` : `${r.provenMs} ms`;
  const again = r.attempt > 1 ? `, try ${r.attempt}` : '';
  return `${how} ${ms}, ${r.sent[0]}+${r.sent[1]}${again}`;
}

const IMPOSSIBLE = [
  '## Why a random symmetric NAT and another symmetric one do not meet',
  '',
  'A probe gets through only where its own mapping and its target both fit the other side’s. Both NATs give each pair of',
  'sockets a new port, and draw it at random or count. Where one of them counts and the other draws at random, the counting side’s port can be foretold, the',
  'other’s not: each datagram of the random side makes one mapping among 64 512 ports, and a probe of the counting side comes',
  'from one port only, so that one pair in 64 512 fits. Half a chance takes 45 000 datagrams, 98 % takes 250 000, each of them an',
  'entry in a home router’s table; awl’s limit is 2 048. With one side stable each probe meets all 256 sockets at once, and with both',
  'counting, both ports are known. A counting NAT that gives a socket one port for all ports of an address (RFC 4787: address-dependent',
  'mapping, which the lab cannot build) is no such case: its probes come from the one port that the other side’s sockets were opened',
  'toward, and the search takes as long as with a stable side (`test/natsim`).',
  '',
  'What was weighed and found wanting, for the counting and the random side:',
  '',
  '* *K sockets on one side, M probes on the other.* K times M pairs look like many, but a pair of ports fits only if both ends know of it: each datagram of the',
  '  counting side has a port of its own, known before, and meets only those mappings of the random side that were opened toward just that port. So the',
  '  chances of all mappings add up, once each: n mappings of the random side are n in 64 512, however many probes there are.',
  '* *Making the counting side depend less on the destination.* Its mapping is one for each address and port; a NAT with one for each address is the exception above.',
  '* *Learning the random port from outside.* Only the peer’s router sees it, and drops it. An ICMP error from a router on the way quotes it, but the own NAT translates the',
  '  quotation back (RFC 5508), and programs without privileges do not see it. Another server sees another port.',
  '* *Port preservation, hairpins:* a NAT that kept the port would not be symmetric; a datagram to the own public address has yet another mapping.',
  '* *TCP:* such NATs choose ports for TCP in the same way, and each trial takes an entry that lives for minutes.',
  '* *A higher limit:* 45 000 entries are more than the tables of many home routers hold, and break the connections of others there.',
  '',
  'The cures are IPv6, a mapped port on either router, or a relay of your own. Both sides say so within 10 s.',
  '',
];

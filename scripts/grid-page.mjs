// The page that scripts/grid writes.

const median = (list) => [...list].sort((x, y) => x - y)[list.length >> 1];
const high = (list) => Math.max(...list);

/** docs/NAT-GRID.md from the results of all pairs. */
export function gridPage(types, results, hopeless, { hops, delay, loss }) {
  const cell = (a, b) =>
    results
      .filter((one) => one.a === a && one.b === b)
      .map(entry)
      .join('<br>');
  const entry = (r) => {
    const { a, b } = r;
    if (!r.ok)
      return hopeless(a, b) ? `- (${r.code} in ${(r.passageMs / 1000).toFixed(1)} s)` : `FAILED ${r.code}`;
    const how = r.how[0] === r.how[1] ? r.how[0] : r.how.join('/');
    const again = r.attempt > 1 ? `, try ${r.attempt}` : '';
    return `${how} ${r.provenMs} ms, ${r.sent[0]}+${r.sent[1]}${again}`;
  };
  const feasible = results.filter(({ a, b }) => !hopeless(a, b));
  const direct = feasible.filter(({ ok }) => ok);
  const first = direct.filter(({ attempt }) => attempt === 1);
  const kinds = {
    'without a symmetric NAT': direct.filter(({ a, b }) => !`${a}${b}`.includes('symmetric')),
    'with a symmetric NAT on one side or both': direct.filter(({ a, b }) => `${a}${b}`.includes('symmetric')),
  };
  const lines = [
    '# The NAT grid',
    '',
    'Made by `scripts/grid`: two awls behind every pair of kernel NATs of [NETLAB.md](NETLAB.md), each side inviting once (the row',
    'invites, the column accepts), with a payload that has to get through. Do not edit by hand.',
    '',
    `${hops} routers between the NATs, ${delay ?? 'no'} delay one way on each access link, ${loss ?? 'no'} loss. Each cell: the rung that won as the inviter`,
    'and the acceptor saw it, the time from both references known to the authenticated path, datagrams sent by inviter + acceptor;',
    'one line for each side of the lab that the inviter was on. `-`: no path, as expected.',
    '',
    `**${direct.length} of ${feasible.length} feasible pairs direct, ${first.length} of them at the first try (${((100 * first.length) / feasible.length).toFixed(1)} %).**`,
    '',
    ...Object.entries(kinds).map(([what, list]) => {
      const times = list.flatMap(({ provenMs }) => provenMs ?? []);
      return `* ${what}: ${list.length} pairs, median ${median(times)} ms, slowest ${high(times)} ms`;
    }),
    `* datagrams outside the wide rungs: ${high(results.flatMap(({ sent, wide }) => sent.map((n, i) => n - wide[i])))} at most from one side`,
    '',
    `| inviter \\ acceptor | ${types.join(' | ')} |`,
    `|---|${types.map(() => '---').join('|')}|`,
    ...types.map((a) => `| ${a} | ${types.map((b) => cell(a, b)).join(' | ')} |`),
    '',
    '## Why a random symmetric NAT and another symmetric one do not meet',
    '',
    'A probe gets through only where its own mapping and its target both fit the other side’s. Both NATs give each pair of',
    'sockets a new port. Where one of them counts and the other draws at random, the counting side’s port can be foretold, the',
    'other’s not: each datagram of the random side makes one mapping among 64 512 ports, and a probe of the counting side comes',
    'from one port only, so that one pair in 64 512 fits. Half a chance takes 45 000 datagrams, 98 % takes 250 000, each of them an',
    'entry in a home router’s table; awl’s limit is 2 048. With one side stable each probe meets all 256 sockets at once, and with both',
    'counting, both ports are known. The cures are IPv6, a mapped port on either router, or a relay of your own.',
    '',
  ];
  return lines.join('\n');
}

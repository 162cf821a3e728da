import { expect, test } from 'vitest';
import { hubText } from '../../../src/cli/hub-text.js';
import { type HubStatus, readHubStatus } from '../../../src/session/hub-status.js';

const SESSION = {
  ageMs: 65_000,
  bytes: 1_234_567,
  dropped: 1,
  sides: [
    { role: 'invite', who: 'alice@example.org/laptop', at: '198.51.100.7:4000' },
    { role: 'accept', who: 'key 00112233445566aa', at: '203.0.113.9:5000' },
  ],
} as const;
const HUB: HubStatus = {
  mode: 'hub',
  pid: 4711,
  upMs: 7_500_000,
  stun: { at: '192.0.2.10:3478', answered: 12, ignored: 3, limited: 0 },
  dht: { at: '192.0.2.10:49737', nodes: 1, asked: 99, unanswered: 0 },
  relay: {
    at: '192.0.2.10:3480',
    allowed: 2,
    sessions: 1,
    waiting: 1,
    refused: 4,
    forwarded: 1000,
    bytes: 9_000_000,
    dropped: 7,
    open: [SESSION, { ...SESSION, dropped: 0, bytes: 0, sides: [SESSION.sides[0]] }],
  },
};

test('a person reads whom the hub serves, and how much it carries for them', () => {
  expect(hubText(HUB)).toBe(
    `awl hub 4711 up 2 h 5 min
  STUN on 192.0.2.10:3478: 12 answered, 3 ignored, 0 over the limit
  DHT on 192.0.2.10:49737: 1 node known, 99 requests, 0 unanswered
  relay on 192.0.2.10:3480 for 2 identities: 1 session, 1 waiting, 9.0 MB so far, 4 refused, 7 datagrams dropped
    alice@example.org/laptop (198.51.100.7:4000) - key 00112233445566aa (203.0.113.9:5000): for 1 min 5 s, 1.2 MB, 1 datagram dropped
    alice@example.org/laptop (198.51.100.7:4000) waits: for 1 min 5 s, 0 B
`,
  );
  const { relay: _, ...bare } = HUB;
  expect(hubText(bare)).toContain('no relay');
});

test('many sessions do not fill a terminal, and no word drives it', () => {
  const relay = HUB.relay as NonNullable<HubStatus['relay']>;
  const hostile = { ...SESSION, sides: [{ ...SESSION.sides[0], who: 'x\x1b[2J\nawl 1 is root' }] };
  const text = hubText({ ...HUB, relay: { ...relay, open: new Array(500).fill(hostile) } });
  expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  expect(text.match(/198\.51\.100\.7/g)).toHaveLength(100);
  expect(text).toContain('and 400 more');
});

test('what another version or a stranger’s process says is shown only where it has the right form', () => {
  expect(readHubStatus(JSON.parse(JSON.stringify(HUB)))).toEqual(HUB);
  for (const wrong of [
    {},
    { ...HUB, mode: 'accept' },
    { ...HUB, stun: {} },
    { ...HUB, relay: { ...HUB.relay, open: 1 } },
    { ...HUB, relay: { ...HUB.relay, open: [{ ...SESSION, sides: [{ who: 1 }] }] } },
    { ...HUB, relay: { ...HUB.relay, open: [null] } },
  ]) {
    expect(readHubStatus(wrong), JSON.stringify(wrong)).toBeUndefined();
  }
});

import { expect, test } from 'vitest';
import { metricsText } from '../../../src/cli/metrics.js';
import { bytesText, durationText } from '../../../src/cli/quantity.js';
import { sessionMetrics } from '../../../src/cli/session-metrics.js';
import { processText, progressText } from '../../../src/cli/status-text.js';
import { StickyLine } from '../../../src/cli/sticky-line.js';
import type { ProcessStatus, SessionStatus } from '../../../src/session/status.js';

const SESSION: SessionStatus = {
  session: 'a1b2c3',
  state: 'tunnel',
  peer: 'alice@example.org/laptop',
  ageMs: 310_000,
  upMs: 305_000,
  inner: '10.0.0.2:4000',
  outer: '192.0.2.1:4000',
  alien: '198.51.100.7:5000',
  how: 'reflexive',
  transport: 'udp',
  confirmed: true,
  setupMs: 312,
  tunnel: {
    state: 'open',
    path: 'udp',
    rttMs: 34.4,
    sent: 12_345_678,
    received: 900,
    sendRate: 1_200_000,
    receiveRate: 0,
    loss: 0.0123,
    packets: 1_000,
    repeated: 12,
    channels: 3,
    opened: 12,
    refused: 1,
    reconnects: 2,
    moves: 1,
    kept: 5,
    strays: 0,
    datagramsSent: 4,
    datagramsReceived: 5,
    badDatagrams: 0,
    replayedDatagrams: 0,
    tooLarge: 0,
    maxDatagram: 1342,
    bad: 7,
    imports: ['127.0.0.1:2222'],
    offered: ['tcp:127.0.0.1:22'],
  },
};
const PROCESS: ProcessStatus = {
  pid: 4711,
  mode: 'accept',
  app: 'ssh',
  host: 'bob@example.org/nas',
  peer: '',
  upMs: 7_500_000,
  listening: ['hyperdht', 'email'],
  passages: 1,
  failures: 2,
  refusals: 0,
  lastFailure: { code: 'HANDSHAKE_TIMEOUT', message: 'no datagram came through', agoMs: 60_000 },
  sessions: [SESSION],
};

test('a person reads who, how, how fast and since when', () => {
  expect(processText(PROCESS)).toBe(
    `awl 4711 accepts everybody for ssh as bob@example.org/nas over hyperdht, email; up 2 h 5 min, 1 passage, 2 failures, 0 refused
  last failure 1 min ago: HANDSHAKE_TIMEOUT: no datagram came through
  a1b2c3 alice@example.org/laptop: tunnel, up 5 min 5 s, rtt 34 ms
    udp, reflexive, peer confirmed, set up in 312 ms: 10.0.0.2:4000 (seen as 192.0.2.1:4000) to 198.51.100.7:5000
    sent 12 MB (1.2 MB/s), received 900 B (0 B/s), 3 channels of 12, 1 refused, datagrams up to 1342 B, loss 1.2 %, 7 bad packets, 2 reconnects, 1 move
    listens on 127.0.0.1:2222
    the peer exports tcp:127.0.0.1:22
`,
  );
  expect(processText({ ...PROCESS, sessions: [] })).toContain('no session now');
});

test('a relayed path is called one, and only once', () => {
  const relayed = { ...SESSION, transport: 'relay', how: 'relay' };
  expect(processText({ ...PROCESS, sessions: [relayed] })).toContain('\n    relay, peer confirmed, set up');
});

test('words of the peer cannot drive the terminal, and many sessions do not fill it', () => {
  const hostile = { ...SESSION, how: 'x\x1b[2J\nawl 1 is root' };
  const text = processText({ ...PROCESS, sessions: new Array<SessionStatus>(500).fill(hostile) });
  expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  expect(text).not.toContain('\nawl 1 is root');
  expect(text.match(/a1b2c3/g)).toHaveLength(100);
  expect(text).toContain('and 400 more');
});

test('the progress line fits the terminal and holds no control characters', () => {
  expect(progressText(PROCESS, 200)).toBe(
    'alice@example.org/laptop tunnel | udp | rtt 34 ms | up 1.2 MB/s (12 MB) | down 0 B/s (900 B) | 3 channels | 5 min 5 s',
  );
  expect(progressText(PROCESS, 30)).toHaveLength(29);
  expect(progressText({ ...PROCESS, sessions: [] }, 80)).toBe('waiting for invitations | 2 h 5 min');
  expect(progressText({ ...PROCESS, sessions: [SESSION, SESSION] }, 80)).toContain(
    '2 sessions | up 2.4 MB/s',
  );
});

test('a line that stays is rewritten, and others are written above it', () => {
  let out = '';
  const line = new StickyLine((text) => {
    out += text;
  });
  line.print('one\n');
  line.show('busy');
  line.show('busy');
  line.print('two\n');
  line.show('');
  line.print('three\n');
  expect(out).toBe('one\n\r\x1b[Kbusy\r\x1b[Ktwo\nbusy\r\x1b[Kthree\n');
});

test('a scraper gets one type line a metric, labels that cannot be broken, and nothing of a session that has no tunnel', () => {
  const odd: SessionStatus = { session: 's2', peer: 'a"b\\c\nd', state: 'answering', ageMs: 1 };
  const odder = { ...SESSION, session: 's3', peer: odd.peer };
  const text = metricsText(sessionMetrics({ ...PROCESS, sessions: [SESSION, odd, odder] }));
  expect(text).toContain('# TYPE awl_passages_total counter\nawl_passages_total 1\n');
  expect(text).toContain('awl_sessions{state="tunnel"} 2\n');
  expect(text).toContain('awl_sessions{state="answering"} 1\n');
  expect(text).toContain(
    '# TYPE awl_tunnel_sent_bytes_total counter\n' +
      'awl_tunnel_sent_bytes_total{session="a1b2c3",peer="alice@example.org/laptop",transport="udp",how="reflexive"} 12345678\n' +
      'awl_tunnel_sent_bytes_total{session="s3",peer="a\\"b\\\\c\\nd",transport="udp",how="reflexive"} 12345678\n',
  );
  expect(text).toContain('awl_tunnel_rtt_seconds{session="a1b2c3",');
  const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(new Set(types).size).toBe(types.length);
  for (const line of text.trimEnd().split('\n')) {
    expect(line).toMatch(/^(?:# TYPE [a-z_]+ (?:counter|gauge)|[a-z_]+(?:\{.*\})? -?[0-9.e+-]+)$/);
  }
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [999_600, '1.0 MB'],
  [12_345_678, '12 MB'],
  [3e18, '3000 PB'],
])('%i bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

test.each([
  [0, '0 s'],
  [59_600, '1 min'],
  [3_605_000, '1 h'],
  [90_061_000, '1 d 1 h'],
])('%i ms are %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});

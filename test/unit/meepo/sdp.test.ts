import { expect, test } from 'vitest';
import { awlAttribute, restrainSdp, withAwlAttribute } from '../../../src/meepo/sdp.js';
import { openOffer } from '../../../src/wire/meepo/descriptor.js';
import { decodeEvent } from '../../../src/wire/meepo/event.js';
import { parseKeyFile } from '../../../src/wire/meepo/openssh.js';
import { capturedEvents, meepoFixture } from '../../support/meepo-vectors.js';

function realOffer(): string {
  const { descriptor } = decodeEvent(capturedEvents()[0]?.text ?? '');
  return openOffer(parseKeyFile(meepoFixture('alice.pem')).keys, descriptor!).sdp;
}

const candidate = (address: string, port: number, component = 1) =>
  `a=candidate:1 ${component} udp 2130706431 ${address} ${port} typ host`;

test('a peer cannot make us send to loopback, special ranges, system ports, names, or a crowd', () => {
  const sdp = realOffer();
  const hostile = [
    '127.0.0.1',
    '::1',
    '::ffff:127.0.0.1',
    '169.254.169.254',
    '224.0.0.1',
    '0.0.0.0',
    'x.local',
  ];
  const lines = [
    ...hostile.map((address) => candidate(address, 5000)),
    candidate('192.0.2.1', 53),
    ...Array.from({ length: 500 }, (_, i) => candidate('198.51.100.1', 2000 + i)),
  ];
  const kept = restrainSdp(`${sdp}${lines.join('\r\n')}\r\n`, { allowLoopback: false });
  for (const address of hostile) expect(kept).not.toContain(` ${address} 5000`);
  expect(kept).not.toContain('192.0.2.1 53');
  expect(kept.match(/^a=candidate:/gm)?.length).toBe(32);
  expect(kept).toContain('203.0.113.12');
  expect(restrainSdp(candidate('127.0.0.1', 5000), { allowLoopback: true })).not.toBe('');
});

test('the word between awl nodes is an attribute that others skip', () => {
  const sdp = realOffer();
  expect(awlAttribute(sdp)).toBeUndefined();
  expect(awlAttribute(withAwlAttribute(sdp, '{"v":1}'))).toBe('{"v":1}');
  expect(withAwlAttribute(sdp, 'x').startsWith(sdp.trimEnd())).toBe(true);
});

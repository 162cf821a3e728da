import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeOffer, encodeOffer } from '../../../src/wire/tunnel-offer.js';
import { channelProof, deriveTunnelTcpKeys, isChannelProof } from '../../../src/wire/tunnel-tcp-keys.js';
import { refusal } from '../../support/exchange.js';

const endpoint = fc.record({
  address: fc.oneof(fc.ipV4(), fc.ipV6()),
  port: fc.integer({ min: 1, max: 65_535 }),
});
const list = fc.array(endpoint, { maxLength: 4 });

test('every offer survives the round trip', () => {
  fc.assert(
    fc.property(fc.record({ at: list, open: list }), (offer) => {
      expect(decodeOffer(encodeOffer(offer))).toEqual(offer);
      expect(encodeOffer(offer).length).toBeLessThan(1024);
    }),
  );
});

test.each([
  ['', 'nothing'],
  ['[]', 'a list'],
  ['null', 'null'],
  ['{"at":[]}', 'half of it'],
  ['{"at":["1.2.3.4:5","1.2.3.4:5","1.2.3.4:5","1.2.3.4:5","1.2.3.4:5"],"open":[]}', 'five places'],
  ['{"at":["1.2.3.4:0"],"open":[]}', 'port 0'],
  ['{"at":["example.org:1"],"open":[]}', 'a name'],
  ['{"at":[{"address":"1.2.3.4","port":1}],"open":[]}', 'an object'],
])('%s is no offer: %s', (text) => {
  refusal(() => decodeOffer(text), 'MESSAGE_MALFORMED');
});

test('keys for TCP are those of docs/PROTOCOL.md, each of them another one', () => {
  const keys = deriveTunnelTcpKeys(Buffer.alloc(32, 0x11));
  expect(keys.psk.toString('hex')).toBe('f329376624be282f5507f35229c21306898badf6590cb298733e5f9ccca8cc8a');
  const all = [keys.psk, keys.carrier, keys.proofs.invite, keys.proofs.accept];
  expect(new Set(all.map((key) => key.toString('hex'))).size).toBe(4);
  expect(() => deriveTunnelTcpKeys(Buffer.alloc(31))).toThrow(RangeError);
});

test('a proof is good for its key and its channel only', () => {
  const [key, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const proof = channelProof(key, Buffer.from('channel'));
  expect(isChannelProof(key, Buffer.from('channel'), proof)).toBe(true);
  expect(isChannelProof(other, Buffer.from('channel'), proof)).toBe(false);
  expect(isChannelProof(key, Buffer.from('another'), proof)).toBe(false);
  expect(isChannelProof(key, Buffer.from('channel'), proof.subarray(1))).toBe(false);
});

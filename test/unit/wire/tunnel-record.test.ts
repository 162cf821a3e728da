import { expect, test } from 'vitest';
import { isAwlError } from '../../../src/errors.js';
import { deriveTunnelKeys } from '../../../src/wire/tunnel-keys.js';
import { TUNNEL_RECORD_BYTES } from '../../../src/wire/tunnel-limits.js';
import { frameRecord, RecordOpener, RecordSealer } from '../../../src/wire/tunnel-record.js';

const KEY = Buffer.alloc(32, 7);
const framed = (bytes: Uint8Array | string) => frameRecord([Buffer.from(bytes as string)], bytes.length);

function records(...texts: string[]): Buffer[] {
  const sealer = new RecordSealer(KEY);
  return texts.map((text) => sealer.seal(framed(text)));
}
const opened = (opener: RecordOpener, ...pieces: Buffer[]) =>
  pieces.flatMap((piece) => [...opener.open(piece)]).map(String);
const refused = (action: () => unknown) => {
  expect(action).toThrow(
    expect.toSatisfy((error: unknown) => isAwlError(error, 'MESSAGE_MALFORMED')) as never,
  );
};

test('each role sends with what the other receives with, and every purpose has its own key', () => {
  const [invite, accept] = [deriveTunnelKeys(KEY, 'invite'), deriveTunnelKeys(KEY, 'accept')];
  expect(invite.send).toEqual(accept.receive);
  expect(invite.receive).toEqual(accept.send);
  const keys = [invite.send, invite.receive].flatMap((one) => [one.stream, one.datagram]);
  expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(4);
  expect(() => deriveTunnelKeys(KEY.subarray(1), 'invite')).toThrow(RangeError);
});

test('the vector of docs/PROTOCOL.md', () => {
  const keys = deriveTunnelKeys(Buffer.alloc(32, 0x11), 'invite');
  expect(keys.send.stream.toString('hex')).toBe(
    'ab988243c20f8cebe93bbcb1f87cbff4de6511b66ae876b3105fed30dcd61ab8',
  );
  expect(new RecordSealer(keys.send.stream).seal(framed('awl')).toString('hex')).toBe(
    '000000139a6775ab84ba508cf45f29b3d11e2c12141b05',
  );
});

test('records arrive in order, however the stream is cut', () => {
  const stream = Buffer.concat(records('one', 'two', 'three'));
  for (const step of [1, 2, 7, 100]) {
    const opener = new RecordOpener(KEY);
    const pieces = Array.from({ length: Math.ceil(stream.length / step) }, (_, i) =>
      stream.subarray(i * step, (i + 1) * step),
    );
    expect(opened(opener, ...pieces)).toEqual(['one', 'two', 'three']);
    expect(opener.held).toBe(0);
  }
});

test('a record that is repeated, left out, swapped or damaged ends everything', () => {
  const [one, two] = records('one', 'two') as [Buffer, Buffer];
  const damaged = Buffer.from(two);
  damaged[6] = (damaged[6] ?? 0) ^ 1;
  for (const sequence of [[one, one], [two], [two, one], [one, damaged]]) {
    const opener = new RecordOpener(KEY);
    refused(() => opened(opener, ...sequence));
    refused(() => opened(opener, one));
  }
});

test('a record that comes back from where it was sent does not open', () => {
  const { send, receive } = deriveTunnelKeys(KEY, 'invite');
  const record = new RecordSealer(send.stream).seal(framed('mine'));
  refused(() => opened(new RecordOpener(receive.stream), record));
});

test('a length that no record has is refused before anything is collected', () => {
  for (const length of [0, 16, TUNNEL_RECORD_BYTES + 17, 0xffff_ffff]) {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(length);
    refused(() => opened(new RecordOpener(KEY), header));
  }
});

test('the sealer refuses what its peer would', () => {
  const sealer = new RecordSealer(KEY);
  expect(() => sealer.seal(framed(''))).toThrow(RangeError);
  expect(() => sealer.seal(framed(Buffer.alloc(TUNNEL_RECORD_BYTES + 1)))).toThrow(RangeError);
});

test('a record that its reader keeps stays as it was when the next ones come', () => {
  for (const key of [KEY, undefined]) {
    const sealer = new RecordSealer(key);
    const opener = new RecordOpener(key);
    const [one] = [...opener.open(sealer.seal(framed('first')))];
    opener.keep();
    expect([...opener.open(sealer.seal(framed('other')))].map(String)).toEqual(['other']);
    expect(String(one)).toBe('first');
  }
});

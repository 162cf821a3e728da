import { describe, expect, test } from 'vitest';
import { decodeTubus, encodeTubus, sectionBytes, type TubusSection } from '../../../src/wire/tubus.js';
import { FrameReader } from '../../../src/wire/tubus-frame.js';
import { unmaskDatagram } from '../../../src/wire/tubus-mask.js';
import { capturedPackets, session } from '../../support/tubus.js';

const SECRET = BigInt(session.secret);

describe('a captured session of the real wormhole', () => {
  test('has 63 datagrams, and all are readable', () => {
    expect(capturedPackets).toHaveLength(63);
  });

  test.each(capturedPackets.map((packet, index) => ({ index, ...packet })))(
    'datagram $index unmasks, parses, and is made again byte by byte',
    ({ hex, plain, salt, parsed }) => {
      const wire = Buffer.from(hex, 'hex');
      const unmasked = unmaskDatagram(wire, SECRET);
      expect(unmasked.plain.toString('hex')).toBe(plain);
      expect(unmasked.salt).toBe(BigInt(`0x${salt}`));
      const packet = decodeTubus(wire, SECRET);
      expect(packet?.pin).toBe(parsed.pin);
      expect(packet?.sections.map(summary)).toEqual(
        parsed.sections.map(({ type, length, value, handle }) => ({
          type,
          length,
          number: value ?? handle ?? 0,
        })),
      );
      if (!packet) throw new Error('unreadable');
      expect(encodeTubus(packet, SECRET, unmasked.salt).toString('hex')).toBe(hex);
      // With secret 0 the same packet travels clear, its salt field 0.
      expect(encodeTubus(packet, 0n, 7n).toString('hex')).toBe(plain);
      expect(decodeTubus(Buffer.from(plain, 'hex'), 0n)).toEqual(packet);
    },
  );

  test('its streams hold the frames that were noted', () => {
    for (const side of ['import', 'export'] as const) {
      const reader = new FrameReader();
      const lengths: Record<number, number[]> = {};
      const moves = capturedPackets
        .filter(({ from_ }) => from_ === side)
        .flatMap(({ hex }) => decodeTubus(Buffer.from(hex, 'hex'), SECRET)?.sections ?? [])
        .filter((section) => section.type === 'move')
        .sort((a, b) => a.offset - b.offset);
      let total = 0;
      const controls: number[] = [];
      for (const { data } of moves) {
        for (const part of reader.push(data)) {
          if (part.kind === 'control') controls.push(part.id);
          else {
            total += part.data.length;
            lengths[part.id] = [...(lengths[part.id] ?? []), part.data.length];
          }
        }
      }
      const noted = session.wormhole_frames[side].frames;
      expect(controls).toEqual(noted.filter(({ length }) => length === 0).map(({ client }) => client));
      expect(total).toBe(noted.reduce((sum, { length }) => sum + length, 0));
    }
  });
});

function summary(section: TubusSection) {
  const number = 'value' in section ? Number(section.value) : 'offset' in section ? section.offset : 0;
  return { type: section.type, length: sectionBytes(section) - 4, number };
}

const GOOD = encodeTubus({ pin: 5, sections: [{ type: 'edge', offset: 2 ** 40 + 3 }] }, 0n, 0n);
const changed = (at: number, value: number) => {
  const copy = Buffer.from(GOOD);
  copy[at] = value;
  return copy;
};

test('offsets beyond 32 bits are exact', () => {
  expect(decodeTubus(GOOD, 0n)).toEqual({ pin: 5, sections: [{ type: 'edge', offset: 2 ** 40 + 3 }] });
});

test('a datagram of another sign, version, pin 0, or with a section that overruns it, is none', () => {
  const bad = [
    changed(8, 1),
    changed(11, 3),
    changed(15, 0),
    changed(19, 9),
    changed(19, 7),
    changed(20, 0xff),
    GOOD.subarray(0, 15),
    GOOD.subarray(0, 27),
    Buffer.alloc(0),
  ];
  for (const data of bad) expect(decodeTubus(data, 0n), data.toString('hex')).toBeUndefined();
});

test('a wrong secret reads nothing', () => {
  const data = encodeTubus({ pin: 1, sections: [{ type: 'link' }] }, 77n, 12_345n);
  expect(decodeTubus(data, 78n)).toBeUndefined();
  expect(decodeTubus(data, 0n)).toBeUndefined();
});

test('unknown sections are skipped and type 0 ends the list', () => {
  const unknown = Buffer.from('00200003aabbcc', 'hex');
  const end = Buffer.from('00000000', 'hex');
  const tear = Buffer.from('00040000', 'hex');
  const head = GOOD.subarray(0, 16);
  expect(decodeTubus(Buffer.concat([head, unknown, tear]), 0n)?.sections).toEqual([{ type: 'tear' }]);
  expect(decodeTubus(Buffer.concat([head, tear, end, tear]), 0n)?.sections).toEqual([{ type: 'tear' }]);
});

test('a datagram larger than either version sends is taken', () => {
  const data = Buffer.alloc(9000, 1);
  const packet = { pin: 1, sections: [{ type: 'move' as const, offset: 0, data }] };
  expect(decodeTubus(encodeTubus(packet, 3n, 4n), 3n)).toEqual(packet);
});

test('frames are cut right wherever the stream is cut', () => {
  const stream = Buffer.from('0000000100000000' + '0000000200000003616263' + '0000000100000000', 'hex');
  for (let cut = 0; cut <= stream.length; cut++) {
    const reader = new FrameReader();
    const parts = [...reader.push(stream.subarray(0, cut)), ...reader.push(stream.subarray(cut))];
    expect(parts.filter(({ kind }) => kind === 'control').map(({ id }) => id)).toEqual([1, 1]);
    const data = parts.flatMap((part) => (part.kind === 'data' ? [part.data] : []));
    expect(Buffer.concat(data).toString()).toBe('abc');
  }
});

test('a frame that claims 4 GiB is handed on piece by piece', () => {
  const reader = new FrameReader();
  expect(reader.push(Buffer.from('00000001ffffffff', 'hex'))).toEqual([]);
  expect(reader.push(Buffer.from('ab'))).toEqual([{ kind: 'data', id: 1, data: Buffer.from('ab') }]);
});

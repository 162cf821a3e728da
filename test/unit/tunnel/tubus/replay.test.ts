import { expect, test } from 'vitest';
import { TUBUS_LIMITS } from '../../../../src/tunnel/tubus/limits.js';
import { TubusMachine } from '../../../../src/tunnel/tubus/machine.js';
import { decodeTubus, type TubusPacket, type TubusSection } from '../../../../src/wire/tubus.js';
import { FrameReader } from '../../../../src/wire/tubus-frame.js';
import { capturedPackets, session } from '../../../support/tubus.js';

const SECRET = BigInt(session.secret);

const DIALOGUE = capturedPackets.map(({ t, from_, hex }) => ({
  at: t * 1000,
  from: from_,
  packet: decodeTubus(Buffer.from(hex, 'hex'), SECRET) as TubusPacket,
}));
const START = DIALOGUE[0]?.at ?? 0;

/** Plays one side's datagrams to our machine in the other role, and writes what that side's TCP end wrote. */
function replay(heard: 'import' | 'export') {
  const own = heard === 'import' ? 'export' : 'import';
  // With the older version's datagrams ours are cut where the real ones were, so that their echoes fit.
  const limits = { ...TUBUS_LIMITS, packetBytes: 1432 };
  const machine = new TubusMachine(own === 'import' ? 'connect' : 'accept', limits, START);
  const said: TubusSection[] = [];
  const asked: TubusSection[] = [];
  const got: Buffer[] = [];
  for (const { at, from, packet } of DIALOGUE) {
    if (from === own) {
      for (const section of packet.sections) if (section.type === 'move') machine.write(section.data);
    } else {
      asked.push(...packet.sections);
      // Its ping echoes carry the values of another clock; ours is asked and answered under the same ones.
      machine.receive(packet, at);
    }
    got.push(...(machine.read() ?? []));
    for (const sections of machine.poll(at)) said.push(...sections);
  }
  return { machine, said, asked, stream: Buffer.concat(got) };
}

const offsets = (sections: TubusSection[], type: TubusSection['type']) =>
  sections.flatMap((section) => (section.type === type && 'offset' in section ? [section.offset] : []));

test.each(['import', 'export'] as const)(
  'what the real %s side said is answered as the format asks',
  (heard) => {
    const { machine, said, asked, stream } = replay(heard);
    expect(machine.linked).toBe(true);
    expect(machine.end).toBeUndefined();
    expect(machine.stats).toMatchObject({ beyond: 0, duplicates: 0 });
    // Each move and each edge has its echo, in order.
    expect(offsets(said, 'move-echo')).toEqual(offsets(asked, 'move'));
    expect(new Set(offsets(said, 'edge-echo'))).toEqual(new Set(offsets(asked, 'edge')));
    const frames = session.wormhole_frames[heard].frames;
    expect(stream).toHaveLength(frames.reduce((sum, { length }) => sum + length + 8, 0));
    const controls = new FrameReader().push(stream).filter(({ kind }) => kind === 'control');
    expect(controls.map(({ id }) => id)).toEqual(
      frames.filter(({ length }) => length === 0).map(({ client }) => client),
    );
  },
);

test('our importer opens the session as the real one does', () => {
  const { said } = replay('export');
  expect(said.slice(0, 2)).toEqual([{ type: 'link' }, { type: 'edge', offset: 5_242_880 }]);
  expect(said.filter(({ type }) => type === 'link')).toHaveLength(1);
  const types = said.map(({ type }) => type);
  expect(types.slice(2, 4)).toEqual(['ping', 'edge-echo']);
});

test('our exporter answers links and pings with the very sections of the real one', () => {
  const { said, machine } = replay('import');
  const real = DIALOGUE.filter(({ from }) => from === 'export').flatMap(({ packet }) => packet.sections);
  expect(said.slice(0, 3)).toEqual(real.slice(0, 3));
  expect(said.filter(({ type }) => type === 'ping-echo')).toEqual(
    real.filter(({ type }) => type === 'ping-echo'),
  );
  // Two writes may share a move of ours; the stream is the same, and each byte is sent once.
  const stream = (sections: TubusSection[]) =>
    Buffer.concat(sections.flatMap((section) => (section.type === 'move' ? [section.data] : [])));
  expect(stream(said).equals(stream(real))).toBe(true);
  expect(machine.pending).toBe(0);
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openAnswer, openOffer, sealAnswer, sealOffer } from '../../../../src/wire/meepo/descriptor.js';
import { decodeEvent, encodeEvent } from '../../../../src/wire/meepo/event.js';
import { formatMeepoId, isMeepoId, parseMeepoId } from '../../../../src/wire/meepo/id.js';
import { meepoKeys, montgomeryPrivate, montgomeryPublic } from '../../../../src/wire/meepo/keys.js';
import { formatKeyFile, isEncryptedKey, parseKeyFile } from '../../../../src/wire/meepo/openssh.js';
import {
  decodePacket,
  encodePacket,
  PACKET_MAX_BYTES,
  signPacket,
  verifyPacket,
} from '../../../../src/wire/meepo/packet.js';
import {
  decodeHop,
  decodeWireBody,
  encodeHop,
  encodeWireBody,
} from '../../../../src/wire/meepo/wire-packet.js';
import {
  capturedEvents,
  capturedPackets,
  MEEPO_NODES,
  meepoFixture,
} from '../../../support/meepo-vectors.js';
import { needs } from '../../../support/needs.js';

const ids = {
  alice: '660p2ramha51d2yfv0vmrlxrbp2zff2svlxyiebv55u7p7jfce8',
  bob: '61ob9otl1qimbdph6kdgrxbw6uobwrrmuhx6ba6ecwr8kj3f94m',
  eve: '653akedhs36f1ps0jwjpjg5fofllnqb2goxke9y6p6b76s2dig7',
};
const keys = Object.fromEntries(
  MEEPO_NODES.map((name) => [ids[name], parseKeyFile(meepoFixture(`${name}.pem`)).keys]),
);

test('key files of the real one give its names, and are written again byte for byte', () => {
  for (const name of MEEPO_NODES) {
    const text = meepoFixture(`${name}.pem`);
    const file = parseKeyFile(text);
    expect(file.keys.id).toBe(ids[name]);
    const check = Buffer.from(text.replace(/-----.*-----|\s/g, ''), 'base64').readUInt32BE(98);
    expect(formatKeyFile(file, undefined, check)).toBe(text);
  }
  const alice = keys[ids.alice]!;
  expect(alice.publicKey.toString('hex')).toMatch(/^cbe1b3b6.*4aab80$/);
  expect(montgomeryPrivate(alice.seed).toString('hex')).toMatch(/^f8ee4b39.*5b54$/);
  expect(montgomeryPublic(alice.publicKey).toString('hex')).toMatch(/^73b7ae95.*ba05$/);
});

test('a name of another length, tag or alphabet is no MeepoID', () => {
  expect(parseMeepoId(ids.alice.toUpperCase())).toEqual(keys[ids.alice]!.publicKey);
  expect(isMeepoId(ids.alice.toUpperCase())).toBe(false);
  for (const wrong of [
    '',
    'badid',
    ids.alice.slice(1),
    `${ids.alice}0`,
    `7${ids.alice.slice(1)}`,
    `${ids.alice.slice(0, -1)}-`,
  ])
    expect(() => parseMeepoId(wrong), wrong).toThrow('invalid peer id');
  expect(formatMeepoId(parseMeepoId(ids.eve))).toBe(ids.eve);
});

test('every captured packet is verified and encodes to the very same bytes', () => {
  const packets = capturedPackets();
  expect(packets.length).toBeGreaterThan(20);
  let inner = 0;
  for (const bytes of packets) {
    const packet = decodePacket(bytes);
    expect(encodePacket(packet).equals(bytes)).toBe(true);
    expect(verifyPacket(packet)).toBe(true);
    const forged = { ...packet, header: { ...packet.header, session: packet.header.session ^ 1 } };
    expect(verifyPacket(forged)).toBe(false);
    if (!packet.header.type.startsWith('broadcast')) continue;
    const { hop, inner: carried } = decodeHop(packet.data);
    expect(verifyPacket(carried)).toBe(true);
    expect(encodeHop(hop, carried).equals(packet.data)).toBe(true);
    expect(encodeWireBody(decodeWireBody(carried.data)).equals(carried.data)).toBe(true);
    inner += 1;
  }
  expect(inner).toBeGreaterThan(4);
});

test('captured offers and answers open with the keys of their nodes', () => {
  const events = capturedEvents();
  expect(events).toHaveLength(4);
  const secrets = new Map<number, ReturnType<typeof openOffer>['secret']>();
  for (const { to, text } of events) {
    const event = decodeEvent(text);
    expect(decodeEvent(encodeEvent(event))).toEqual(event);
    const { descriptor, session } = event;
    if (event.name === 'wire') {
      const { sdp, secret } = openOffer(keys[to]!, descriptor!);
      expect(sdp).toContain('a=setup:actpass');
      secrets.set(session, secret);
      const stranger = Object.values(keys).find(({ id }) => id !== to)!;
      expect(() => openOffer(stranger, descriptor!)).toThrow('cannot be decrypted');
    } else {
      expect(openAnswer(descriptor!.ID, secrets.get(session)!, descriptor!)).toContain('a=setup:active');
      expect(() => openAnswer(to, secrets.get(session)!, descriptor!)).toThrow('somebody else');
    }
  }
});

test('an offer of ours comes back, and nobody can change a member of it', () => {
  const [alice, bob] = [keys[ids.alice]!, keys[ids.bob]!];
  const { descriptor, secret } = sealOffer(alice, bob.id, 'v=0\r\n');
  const got = openOffer(bob, descriptor);
  expect(got.sdp).toBe('v=0\r\n');
  expect(openAnswer(bob.id, secret, sealAnswer(bob, got.secret, 'v=1\r\n'))).toBe('v=1\r\n');
  for (const name of Object.keys(descriptor.UserData)) {
    const text = descriptor.UserData[name]!;
    const changed = `${text[0] === 'A' ? 'B' : 'A'}${text.slice(1)}`;
    expect(() =>
      openOffer(bob, { ...descriptor, UserData: { ...descriptor.UserData, [name]: changed } }),
    ).toThrow('incorrect signature');
  }
});

test('a bomb of zeros is not unpacked, and a packet that a real node cannot receive is refused', async () => {
  const { gzipSync } = await import('node:zlib');
  const bomb = gzipSync(Buffer.alloc(50_000_000)).toString('base64');
  expect(() => decodeEvent(bomb)).toThrow('no message of Meepo');
  const alice = keys[ids.alice]!;
  const header = {
    type: 'request',
    method: 'ping',
    session: 1,
    source: alice.id,
    destination: ids.bob,
  } as const;
  const big = encodePacket(signPacket(alice, { header, data: Buffer.alloc(PACKET_MAX_BYTES) }));
  expect(() => decodePacket(big)).toThrow('too large');
});

test('a passphrase protects a key file; a wrong or missing one is told apart', () => {
  const file = { keys: meepoKeys(), comment: 'me' };
  const text = formatKeyFile(file, 'open sesame');
  expect([isEncryptedKey(text), isEncryptedKey(formatKeyFile(file))]).toEqual([true, false]);
  expect(parseKeyFile(text, 'open sesame')).toEqual(file);
  expect(() => parseKeyFile(text, 'open')).toThrow('the passphrase does not open');
  expect(() => parseKeyFile(text)).toThrow('needs a passphrase');
});

test.skipIf(!needs('ssh-keygen'))('ssh-keygen reads our key files, and we read those it makes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'awl-key-'));
  try {
    const path = join(folder, 'key');
    const keygen = (...args: string[]) => spawnSync('ssh-keygen', args, { encoding: 'utf8' });
    for (const phrase of ['', 'open sesame']) {
      const given = phrase === '' ? undefined : phrase;
      expect(keygen('-q', '-t', 'ed25519', '-N', phrase, '-C', 'a b', '-f', path).status).toBe(0);
      const file = parseKeyFile(readFileSync(path, 'utf8'), given);
      expect(file.comment).toBe('a b');
      writeFileSync(path, formatKeyFile(file, given), { mode: 0o600 });
      const read = keygen('-y', '-P', phrase, '-f', path).stdout.split(' ')[1];
      expect(Buffer.from(read ?? '', 'base64').subarray(-32)).toEqual(file.keys.publicKey);
      rmSync(path);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

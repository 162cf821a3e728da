import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadIdentity } from '../../../src/cli/meepo/identity.js';
import { isAwlError } from '../../../src/errors.js';
import { agentKeys } from '../../../src/meepo/agent-keys.js';
import {
  openAnswer,
  openOffer,
  sealAnswer,
  sealAnswerBy,
  sealOffer,
  sealOfferBy,
} from '../../../src/wire/meepo/descriptor.js';
import { meepoKeys } from '../../../src/wire/meepo/keys.js';
import { formatKeyFile } from '../../../src/wire/meepo/openssh.js';
import { isFor, makeStandIn, readStandIn } from '../../../src/wire/meepo/stand-in.js';
import {
  agentHas,
  encodeSignRequest,
  encodeSshKey,
  readAgentMessage,
  readPublicKeyLine,
  readSignature,
} from '../../../src/wire/ssh-agent.js';
import { until } from '../../support/meepo-nodes.js';
import { meepoPair } from '../../support/meepo-pair.js';
import { needs } from '../../support/needs.js';
import { tempDir } from '../../support/tmp.js';

const keys = meepoKeys();
const line = `ssh-ed25519 ${encodeSshKey(keys.publicKey).toString('base64')} me@here\n`;

/** Answers every question with these bytes. */
async function liar(folder: string, answer: Buffer) {
  const path = join(folder, 'agent');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(answer));
  }).listen(path);
  await once(server, 'listening');
  return { path, close: () => server.close() };
}

test.skipIf(!needs('ssh-agent', 'ssh-add'))(
  'a node whose key a real ssh-agent has can call and speak, and is called by a key that the agent signed',
  async () => {
    const folder = tempDir();
    const path = join(folder, 'agent');
    writeFileSync(join(folder, 'key'), formatKeyFile({ keys, comment: '' }), { mode: 0o600 });
    writeFileSync(join(folder, 'key.pub'), line);
    const agent = spawn('ssh-agent', ['-D', '-a', path], { stdio: 'ignore' });
    try {
      const add = () =>
        spawnSync('ssh-add', ['-q', join(folder, 'key')], { env: { ...process.env, SSH_AUTH_SOCK: path } });
      expect(await until(() => add().status === 0)).toBe(true);
      const signal = AbortSignal.timeout(30_000);
      const { keys: own } = await loadIdentity(join(folder, 'key.pub'), undefined, signal, path);
      expect(own.id).toBe(keys.id);
      expect(own.seed).toHaveLength(0);
      // It calls: an offer that others take, and their answer.
      const bob = meepoKeys();
      const { descriptor, secret } = await sealOfferBy(own, bob.id, 'v=0 offer');
      const opened = openOffer(bob, descriptor);
      expect(opened.sdp).toBe('v=0 offer');
      expect(openAnswer(bob.id, secret, sealAnswer(bob, opened.secret, 'v=0 answer'))).toBe('v=0 answer');
      // It speaks on the path.
      const [alice, other] = meepoPair({ keys: own }, { keys: bob });
      const body = await alice.transport.conversation.request('challenge', Buffer.alloc(0));
      expect(body.has('Nonce')).toBe(true);
      await alice.transport.close();
      await other.transport.close();
      // It opens nothing, and says so in words, but what is sealed to a key that the agent has signed.
      expect(() => openOffer(own, sealOffer(bob, own.id, 'v=0').descriptor)).toThrow(
        'its key is in an ssh-agent',
      );
      const now = Date.now();
      const standIn = await makeStandIn(own, now);
      const to = readStandIn(own.id, standIn.descriptor, now);
      const call = await sealOfferBy(bob, own.id, 'v=0 call', to);
      expect(isFor(call.descriptor, standIn)).toBe(true);
      const heard = openOffer(standIn.keys, call.descriptor);
      const answer = await sealAnswerBy(own, heard.secret, 'v=0 well');
      expect([heard.sdp, openAnswer(own.id, call.secret, answer)]).toEqual(['v=0 call', 'v=0 well']);
      expect(readStandIn(own.id, answer, now)).toBeUndefined();
      // A key that the agent has not.
      await expect(agentKeys(path, meepoKeys().publicKey)).rejects.toMatchObject({
        code: 'IDENTITY_INVALID',
      });
    } finally {
      agent.kill();
    }
  },
);

test('a key in the place of the own is the peer’s, signed, and of today; an offer that is not sealed to it is for somebody else', async () => {
  const [bob, eve] = [meepoKeys(), meepoKeys()];
  const now = Date.now();
  const { descriptor, until: end } = await makeStandIn(keys, now);
  expect(readStandIn(keys.id, descriptor, end)).toHaveLength(32);
  expect(() => readStandIn(keys.id, descriptor, end + 3_600_000)).toThrow('too old');
  expect(() => readStandIn(bob.id, descriptor, now)).toThrow('somebody else');
  const other = (await makeStandIn(eve, now)).descriptor.UserData;
  for (const UserData of [
    other,
    { ...descriptor.UserData, awlKey: other['awlKey'] ?? '' },
    { ...descriptor.UserData, awlUntil: 'OTk5OTk5OTk5OTk5' },
  ]) {
    expect(() => readStandIn(keys.id, { ID: keys.id, UserData }, now)).toThrow('incorrect signature');
  }
  expect(isFor(sealOffer(bob, keys.id, 'v=0').descriptor, await makeStandIn(keys, now))).toBe(false);
});

test('a public key without an agent, and agents that are none or sign something else, are named errors', async () => {
  const folder = tempDir();
  writeFileSync(join(folder, 'key.pub'), line);
  const signal = AbortSignal.timeout(30_000);
  const load = (agent?: string) => loadIdentity(join(folder, 'key.pub'), undefined, signal, agent);
  await expect(load()).rejects.toMatchObject({
    code: 'IDENTITY_INVALID',
    message: expect.stringContaining('is a public key, and there is no ssh-agent'),
  });
  await expect(load(join(folder, 'nobody'))).rejects.toThrow('the ssh-agent cannot be asked');
  for (const bytes of [
    '',
    '00000000',
    'ffffffff',
    '000000010b',
    '00000005' + '0c' + '00000001',
    '00000001' + '05',
  ]) {
    const fake = await liar(folder, Buffer.from(bytes, 'hex'));
    await expect(load(fake.path), bytes).rejects.toMatchObject({
      code: expect.stringMatching(/^(IDENTITY|MESSAGE)_/),
    });
    fake.close();
  }
});

test('octets of anybody are an answer, the beginning of one, or a named error', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.tuple(fc.constantFrom(12, 14, 5), fc.uint8Array({ maxLength: 100 })).map(([type, rest]) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(rest.length + 1);
      return Buffer.concat([length, Buffer.from([type]), rest]);
    }),
  );
  fc.assert(
    fc.property(bytes, (data) => {
      try {
        const message = readAgentMessage(Buffer.from(data));
        if (!message) return;
        expect(agentHas(message, keys.publicKey)).toBe(false);
        readSignature(message);
      } catch (error) {
        if (!isAwlError(error)) throw error;
      }
    }),
    { numRuns: 1_000 },
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const key = readPublicKeyLine(text);
      if (key) expect(key).toHaveLength(32);
    }),
  );
  expect(readPublicKeyLine(line)?.equals(keys.publicKey)).toBe(true);
  expect(readPublicKeyLine('ssh-rsa AAAA me')).toBeUndefined();
  expect(encodeSignRequest(keys.publicKey, Buffer.from('x')).readUInt8(4)).toBe(13);
});

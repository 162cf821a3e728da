import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { isAwlError } from '../../src/errors.js';
import { Access } from '../../src/meepo/access.js';
import { accessOf, DEFAULT_CONFIG, formatConfig, parseConfig } from '../../src/meepo/config.js';
import { getKey, setKey } from '../../src/meepo/config-keys.js';
import { awlAttribute, restrainSdp, withAwlAttribute } from '../../src/meepo/sdp.js';
import { answerWebrtc } from '../../src/meepo/webrtc.js';
import { isAllowedTarget } from '../../src/punch/address-filter.js';
import { openOffer } from '../../src/wire/meepo/descriptor.js';
import { decodeEvent } from '../../src/wire/meepo/event.js';
import { parseKeyFile } from '../../src/wire/meepo/openssh.js';
import { capturedEvents, meepoFixture } from '../support/meepo-vectors.js';

/** What came of it: a value, or an error with a name. Anything else fails the test. */
async function named<T>(run: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (!isAwlError(error)) throw error;
    return undefined;
  }
}

const KEYS = [
  'meepo',
  ...Object.keys(DEFAULT_CONFIG),
  'id',
  'awlSecretsOnly',
  'portMapping',
  'metrics',
  'name',
  'host',
  'port',
  'url',
];
const MORE = ['secret', 'socks5', 'allows', 'blocks', 'iceServers', 'level', '__proto__', 'constructor', 'x'];
const leaf = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    65_536,
    -1,
    '',
    'dummy',
    'secret',
    'redis',
    'http',
    'webrtc',
    '*',
    '127.0.0.1:*',
  ),
  fc.string({ maxLength: 20 }),
);
const { value: block } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS, ...MORE), tie('value'), { maxKeys: 5 }),
  ),
}));

test('a configuration is one, or an error with a name; what is taken can be used and written again', async () => {
  const text = fc.oneof(
    { weight: 4, arbitrary: block.map((value) => stringify({ meepo: value })) },
    { weight: 1, arbitrary: fc.string({ maxLength: 100 }) },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.nat(600), fc.string({ maxLength: 3 })).map(([at, bent]) => {
        const whole = meepoFixture('default-config.yaml');
        return whole.slice(0, at) + bent + whole.slice(at + bent.length);
      }),
    },
  );
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(text, async (yaml) => {
      const read = await named(() => parseConfig(yaml));
      if (!read) return;
      taken += 1;
      await named(() => new Access(accessOf(read.config)).summary);
      for (const key of [
        'identityFile',
        'signaling.url',
        'auth',
        'proxy.socks5',
        'transport.iceServers',
        'log.level',
      ]) {
        expect(typeof (await getKey(read.config, key))).toBe('string');
      }
      expect((await parseConfig(await formatConfig(read.config))).config).toEqual(read.config);
    }),
    { numRuns: 800 },
  );
  expect(taken).toBeGreaterThan(0);
});

test('config set takes a value, or says by name why not', async () => {
  const key = fc.constantFrom(
    'auth',
    'proxy.socks5',
    'asSignaling',
    'signaling.url',
    'awlSecretsOnly',
    'portMapping',
    'metrics',
    'x',
    '__proto__',
  );
  await fc.assert(
    fc.asyncProperty(
      key,
      fc.oneof(
        fc.string(),
        block.map((value) => stringify(value)),
      ),
      async (name, value) => {
        const config = structuredClone(DEFAULT_CONFIG);
        // As the command does it: what cannot be read again is not written.
        await named(async () => {
          await setKey(config, name, value);
          await parseConfig(await formatConfig(config));
        });
        expect(parse('{}')).toEqual({});
      },
    ),
    { numRuns: 400 },
  );
});

test('rules are rules or named errors, and say so in one line', async () => {
  const part = fc.constantFrom(
    '*',
    '',
    'tcp',
    'socks5',
    '127.0.0.1',
    '10.0.0.0/8',
    '::1',
    'host',
    '22',
    '99999',
    'x',
  );
  const entity = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(':'));
  const rule = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.array(entity, { minLength: 1, maxLength: 3 }).map((all) => all.join(',')),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(rule, { maxLength: 3 }),
      fc.array(rule, { maxLength: 3 }),
      async (allows, blocks) => {
        const access = await named(() => new Access({ allows, blocks }));
        if (access) expect(access.summary).toMatch(/^everybody who knows our id may reach /);
      },
    ),
    { numRuns: 800 },
  );
});

function realOffer(): string {
  const { descriptor } = decodeEvent(capturedEvents()[0]?.text ?? '');
  if (!descriptor) throw new Error('no offer was captured');
  return openOffer(parseKeyFile(meepoFixture('alice.pem')).keys, descriptor).sdp;
}

/** A description of a real node with lines lost, doubled, bent or made up. */
function bentSdp(): fc.Arbitrary<string> {
  const lines = realOffer().split('\r\n');
  const made = fc.oneof(
    fc.string({ maxLength: 60 }).map((text) => text.replace(/[\r\n]/g, ' ')),
    fc
      .tuple(
        fc.constantFrom('1', '2', 'x'),
        fc.constantFrom('udp', 'UDP', 'tcp'),
        fc.oneof(fc.ipV4(), fc.ipV6()),
        fc.nat(70_000),
      )
      .map(
        ([component, kind, address, port]) =>
          `a=candidate:1 ${component} ${kind} 1 ${address} ${port} typ host`,
      ),
    fc.constantFrom(
      'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
      'a=mid:',
      'a=setup:',
      'a=ice-ufrag:',
      'a=fingerprint:',
      'a=sctp-port:x',
      'a=x-awl:',
      'v=',
      'm=',
      'a=',
    ),
  );
  const edit = fc.record({
    at: fc.nat(lines.length),
    kind: fc.constantFrom('drop', 'double', 'insert', 'cut'),
    made,
  });
  return fc.array(edit, { minLength: 1, maxLength: 6 }).map((edits) => {
    const copy = [...lines];
    for (const { at, kind, made: line } of edits) {
      if (kind === 'drop') copy.splice(at, 1);
      else if (kind === 'double') copy.splice(at, 0, copy[at] ?? '');
      else if (kind === 'insert') copy.splice(at, 0, line);
      else copy[at] = (copy[at] ?? '').slice(0, at);
    }
    return copy.join('\r\n');
  });
}

test('no description makes us send anywhere that is forbidden', () => {
  const rules = { allowPrivate: true, allowLoopback: false };
  fc.assert(
    fc.property(bentSdp(), (sdp) => {
      awlAttribute(sdp);
      const kept = restrainSdp(sdp, { allowLoopback: false }).split('\r\n');
      const candidates = kept
        .filter((line) => line.startsWith('a=candidate:'))
        .map((line) => line.split(' '));
      for (const [, component, , , address = '', port] of candidates) {
        expect(component).toBe('1');
        expect(isAllowedTarget({ address, port: Number(port) }, rules)).toBe(true);
      }
      expect(candidates.length).toBeLessThanOrEqual(32);
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      expect(awlAttribute(withAwlAttribute('v=0\r\n', text))).toBe(Buffer.from(text).toString('utf8'));
    }),
    { numRuns: 300 },
  );
});

test('a description that cannot be used is a named error, and leaves nothing behind', async () => {
  const settings = { iceServers: [], onlyAddress: '127.0.0.1' };
  const events = { state() {}, sys() {}, stream() {} };
  let refused = 0;
  const text = fc.oneof({ weight: 3, arbitrary: bentSdp() }, fc.string({ maxLength: 80 }));
  await fc.assert(
    fc.asyncProperty(text, async (sdp) => {
      const answer = await named(() => answerWebrtc(settings, sdp, events));
      if (!answer) refused += 1;
      await answer?.link.close();
    }),
    { numRuns: 40, endOnFailure: true, interruptAfterTimeLimit: 15_000 },
  );
  expect(refused).toBeGreaterThan(0);
});

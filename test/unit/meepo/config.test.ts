import { expect, test } from 'vitest';
import { DEFAULT_CONFIG, formatConfig, parseConfig } from '../../../src/meepo/config.js';
import { getKey, setKey } from '../../../src/meepo/config-keys.js';
import { meepoFixture } from '../../support/meepo-vectors.js';

test('the default file is the real one’s byte for byte, and is read again', async () => {
  expect(await formatConfig(DEFAULT_CONFIG)).toBe(meepoFixture('default-config.yaml'));
  expect((await parseConfig(meepoFixture('default-config.yaml'))).config).toEqual(DEFAULT_CONFIG);
});

test('what config set writes is what the real one writes', async () => {
  const config = structuredClone(DEFAULT_CONFIG);
  await setKey(config, 'asSignaling', 'false');
  await setKey(config, 'log.level', 'debug');
  await setKey(config, 'identityFile', '/x/y.pem');
  await setKey(config, 'auth', 'name: secret\nsecret: AliceAndBob\n');
  await setKey(config, 'proxy.socks5', '');
  const real = meepoFixture('cli-config.txt').split('$ cat c1.yaml\n')[1];
  expect(await formatConfig(config)).toBe(real);
  expect(await getKey(config, 'auth')).toBe('name: secret\nsecret: AliceAndBob\n');
  expect(await getKey(config, 'proxy.socks5')).toBe('null\n');
  expect(await getKey(config, 'asSignaling')).toBe('false');
});

test.each([
  ['meepo: {acl: {block: ["*"]}}', 'CONFIG_UNKNOWN_NAME', 'acl.block'],
  ['meepo: {proxi: 1}', 'CONFIG_UNKNOWN_NAME', 'proxi'],
  ['other: {}', 'CONFIG_UNKNOWN_NAME', 'other'],
  ['meepo: {auth: {secret: x}}', 'CONFIG_SYNTAX', 'Unsupported namespace: meepo.auth, name: '],
  ['meepo: {auth: {name: secret}}', 'CONFIG_SYNTAX', 'a secret is missing'],
  ['meepo: {api: {name: http, port: 99999}}', 'CONFIG_SYNTAX', 'api.port'],
  ['meepo: [1', 'CONFIG_SYNTAX', 'no YAML'],
  ['meepo: 7', 'CONFIG_SYNTAX', 'meepo is no block'],
  ['a: &a [1]\nmeepo: {acl: {allows: *a}}', 'CONFIG_SYNTAX', ''],
  ['meepo: {__proto__: {x: 1}}', 'CONFIG_UNKNOWN_NAME', '__proto__'],
])('%s is an error that names it', async (text, code, word) => {
  await expect(parseConfig(text)).rejects.toMatchObject({ code, message: expect.stringContaining(word) });
});

test('port mapping is on unless the file says no', async () => {
  expect(await getKey((await parseConfig('meepo: {}')).config, 'portMapping')).toBe('true');
  const config = structuredClone(DEFAULT_CONFIG);
  await setKey(config, 'portMapping', 'false');
  expect((await parseConfig(await formatConfig(config))).config.portMapping).toBe(false);
  await expect(setKey(config, 'portMapping', 'off')).rejects.toThrow('portMapping is true or false');
});

test('the free name of the older generation is taken with a word about it', async () => {
  const { config, notes } = await parseConfig('meepo: {id: alice, auth: {name: secret, secret: s}}');
  expect(notes.join()).toContain('id means nothing any more');
  expect(config.auth).toEqual({ name: 'secret', secret: 's' });
  expect(await setKey(structuredClone(DEFAULT_CONFIG), 'id', 'alice')).toContain('id means nothing');
  await expect(setKey(structuredClone(DEFAULT_CONFIG), 'nosuch', '1')).rejects.toThrow(
    'Unsupported config key: nosuch',
  );
});

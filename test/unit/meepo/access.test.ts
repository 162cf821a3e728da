import { describe, expect, test } from 'vitest';
import { Access, bcryptSecret, type Challenge, proveSecret } from '../../../src/meepo/access.js';
import { parsePlace, resolveDestination } from '../../../src/meepo/destination.js';

const ALICE = { network: 'tcp', host: '127.0.0.1', port: 40_000 };
const challenge = (nonce: number, more: Partial<Challenge> = {}): Challenge => ({
  ...{ source: 'alice', sink: 'bob', key: Buffer.alloc(32), nonce: Buffer.alloc(32, nonce) },
  ...{ name: 'web', remote: ':80', ...more },
});

async function reach(access: Access, written: string): Promise<string> {
  try {
    access.checkDestination('alice', ALICE, 'bob', await resolveDestination('tcp', written));
    return 'allowed';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('a destination is judged by where it leads, however it is written', () => {
  const closed = new Access({ blocks: ['127.0.0.1:22'] });
  test.each([
    ':22',
    '[::1]:22',
    '0.0.0.0:22',
    '127.0.0.1:22',
    '0x7f.1:22',
    '[::ffff:127.0.0.1]:22',
    '127.1.2.3:22',
  ])('%s does not get round a block of 127.0.0.1:22', async (written) => {
    expect(await reach(closed, written)).toBe('acl: not allowed');
  });

  test('other ports pass', async () => {
    expect(await reach(closed, ':23')).toBe('allowed');
  });
});

test('with neither auth nor acl only loopback is open, and the line says so', async () => {
  const access = new Access({});
  expect(await reach(access, ':8080')).toBe('allowed');
  expect(await reach(access, '10.0.0.1:80')).toBe('acl: not allowed');
  expect(await reach(access, '169.254.169.254:80')).toBe('acl: not allowed');
  expect(access.summary).toContain('loopback destinations only');
  expect(await reach(new Access({ secret: 's' }), '10.0.0.1:80')).toBe('allowed');
});

test('the secret in both forms; neither the answer to another challenge nor an empty one opens', async () => {
  const access = new Access({ secret: 'AliceAndBob' });
  const proof = await proveSecret('AliceAndBob', challenge(1));
  await access.checkSecret(proof, challenge(1));
  await access.checkSecret(await bcryptSecret('AliceAndBob'), challenge(1));
  // Captured from the real one.
  const real = 'JDJhJDEwJEx2VU9EZ1NPbWwuckc5YWRJYlVQLnVSVlVsLnE1SlRKWVdWTWFMcThKZXZrQ2dqRHJhN0pt';
  await access.checkSecret(real, undefined);
  for (const other of [
    undefined,
    challenge(2),
    challenge(1, { source: 'eve' }),
    challenge(1, { sink: 'eve' }),
    challenge(1, { key: Buffer.alloc(32, 1) }),
    challenge(1, { name: 'ssh' }),
    challenge(1, { remote: ':22' }),
  ]) {
    await expect(access.checkSecret(proof, other)).rejects.toThrow('unauthorized: incorrect password');
  }
  const refused = (hashed: string) => expect(access.checkSecret(hashed, challenge(1))).rejects;
  await refused('').toThrow('unauthorized: require secret');
  await refused(await bcryptSecret('Wrong')).toThrow('unauthorized: incorrect password');
  await refused('bm9uZQ==').toThrow('unauthorized: invalid hashed secret');
  // A cost of 31 would keep us busy for days.
  const dear = Buffer.from(`$2a$31$${'a'.repeat(53)}`).toString('base64');
  await refused(dear).toThrow('unauthorized: invalid hashed secret');
});

test('rules and addresses that are none have names', async () => {
  expect(() => new Access({ allows: ['a'] })).toThrow('invalid acl policy string "a"');
  for (const text of ['', 'x', '1.2.3.4', '::1:22', 'h:99999', 'h:x', '[::1', ':0']) {
    await expect(resolveDestination('tcp', text), text).rejects.toMatchObject({ code: expect.any(String) });
  }
  expect(parsePlace('tcp', '[::1]:22')).toEqual({ network: 'tcp', host: '::1', port: 22 });
});

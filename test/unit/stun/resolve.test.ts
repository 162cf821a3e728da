import { describe, expect, test } from 'vitest';
import { resolveServer, resolveServers } from '../../../src/stun/resolve.js';

const V4 = { address: '0.0.0.0', port: 0 };
const V6 = { address: '::', port: 0 };

describe('finding a STUN server', () => {
  test('an address needs no name server, and IPv6 gets one spelling', async () => {
    const lookup = () => Promise.reject(new Error('asked'));
    expect(await resolveServer({ host: '192.0.2.1', port: 3478 }, V4, { lookup })).toEqual({
      address: '192.0.2.1',
      port: 3478,
    });
    expect((await resolveServer({ host: '2001:DB8:0::0001', port: 1 }, V6, { lookup })).address).toBe(
      '2001:db8::1',
    );
  });

  test('a name is looked up in the family of the local bind', async () => {
    const asked: number[] = [];
    const lookup = (_: string, family: 4 | 6) => {
      asked.push(family);
      return Promise.resolve(family === 4 ? '192.0.2.1' : '2001:db8::1');
    };
    await resolveServer({ host: 'stun.example.org', port: 1 }, V4, { lookup });
    await resolveServer({ host: 'stun.example.org', port: 1 }, V6, { lookup });
    expect(asked).toEqual([4, 6]);
  });

  test('an address of the other family is an error that says which bind would do', async () => {
    const error: unknown = await resolveServer({ host: '2001:db8::1', port: 1 }, V4).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'STUN_UNREACHABLE', hint: expect.stringContaining('--stun-client') });
  });

  test('an unknown name is an error that names it', async () => {
    const lookup = () => Promise.reject(new Error('ENOTFOUND'));
    await expect(
      resolveServer({ host: 'stun.example.org', port: 3478 }, V4, { lookup }),
    ).rejects.toMatchObject({
      code: 'STUN_UNREACHABLE',
      message: 'STUN server stun.example.org:3478 has no IPv4 address: ENOTFOUND',
    });
  });

  test('a name server that never answers does not hold a session up', async () => {
    const lookup = () => new Promise<string>(() => {});
    await expect(
      resolveServer({ host: 'x.example', port: 1 }, V4, { lookup, timeoutMs: 10 }),
    ).rejects.toThrow(/name server did not answer/);
  });

  test('aborting rejects with the reason', async () => {
    const lookup = () => new Promise<string>(() => {});
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(resolveServer({ host: 'x.example', port: 1 }, V4, { lookup, signal })).rejects.toThrow(
      'enough',
    );
  });

  test('one server under two names is one server, so that it cannot agree with itself', async () => {
    const server = { host: '192.0.2.1', port: 3478 };
    expect(await resolveServers([server, server, { host: '192.0.2.2', port: 3478 }], V4)).toHaveLength(2);
  });

  test('one bad name among good ones is left out; only bad ones are an error', async () => {
    const bad = { host: '2001:db8::1', port: 3478 };
    expect(await resolveServers([bad, { host: '192.0.2.1', port: 1 }], V4)).toEqual([
      { address: '192.0.2.1', port: 1 },
    ]);
    await expect(resolveServers([bad], V4)).rejects.toMatchObject({ code: 'STUN_UNREACHABLE' });
    await expect(resolveServers([], V4)).rejects.toMatchObject({ code: 'STUN_UNREACHABLE' });
  });
});

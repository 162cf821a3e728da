import { afterEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../../src/log.js';
import { findNatPmp } from '../../../../src/stun/portmap/nat-pmp.js';
import { findPcp } from '../../../../src/stun/portmap/pcp.js';
import { searchRouters } from '../../../../src/stun/portmap/search.js';
import { findUpnp } from '../../../../src/stun/portmap/upnp.js';
import { FakeRouter, type RouterBehaviour } from '../../../support/fake-router.js';

const routers: FakeRouter[] = [];
afterEach(() => Promise.all(routers.splice(0).map((router) => router.close())));

let last = 100;
/** The protocols' ports are fixed, so every router has a loopback address of its own. */
async function router(behaviour: RouterBehaviour): Promise<FakeRouter> {
  last += 1;
  const made = await FakeRouter.start(
    `127.${process.pid % 200}.${Math.floor(process.pid / 200) % 200}.${last}`,
    behaviour,
  );
  routers.push(made);
  return made;
}

const soon = (ms = 3000) => AbortSignal.timeout(ms);
const REQUEST = { port: 4000, wanted: 4000, lifetimeS: 1200, nonce: Buffer.alloc(12, 7) };

/** A PCP server that grants all at 203.0.113.7, one port higher. */
function grant(request: Buffer): Buffer {
  const answer = Buffer.from(request);
  answer[1] = (answer[1] ?? 0) | 0x80;
  if (answer.length === 60) {
    answer.writeUInt16BE(answer.readUInt16BE(42) + 1, 42);
    answer.set([203, 0, 113, 7], 56);
    answer.fill(0xff, 54, 56);
  }
  return answer;
}

const SERVICE = 'urn:schemas-upnp-org:service:WANIPConnection:1';
const description = (url: string) =>
  `<root><device><friendlyName>A\u001b[31mB &amp; C</friendlyName><serviceList><service><serviceType>${SERVICE}</serviceType>` +
  `<controlURL>${url}</controlURL></service></serviceList></device></root>`;
const ADDRESS = '<NewExternalIPAddress>203.0.113.7</NewExternalIPAddress>';
const failure = (code: number) => [500, `<errorCode>${code}</errorCode>`] as const;

describe('PCP', () => {
  test('an answer about another mapping is not ours', async () => {
    const forged = (request: Buffer) => {
      const other = grant(request);
      if (other.length === 60) other.fill(9, 24, 36);
      return [other, Buffer.from('noise'), grant(request)];
    };
    const { where } = await router({ pcp: forged });
    const mapper = await findPcp(where, soon());
    expect(await mapper.map(REQUEST, soon())).toEqual({
      external: { address: '203.0.113.7', port: 4001 },
      lifetimeS: 1200,
    });
  });

  test('what the router refuses is said in words', async () => {
    const { where } = await router({
      pcp: (request) => {
        const answer = grant(request);
        answer[3] = request.length === 60 ? 2 : 0;
        return answer;
      },
    });
    const mapper = await findPcp(where, soon());
    await expect(mapper.map(REQUEST, soon())).rejects.toThrow('it does not allow it');
  });

  test('a router without such a port is not waited for', async () => {
    const { where } = await router({});
    const begun = performance.now();
    await expect(findPcp(where, soon())).rejects.toThrow();
    expect(performance.now() - begun).toBeLessThan(3000);
  });

  test('a flood of nonsense ends the question', async () => {
    const { where } = await router({ pcp: () => Array.from({ length: 40 }, () => Buffer.from('nonsense')) });
    await expect(findPcp(where, soon())).rejects.toThrow(/something else/);
  });

  test('a NAT-PMP router is none of PCP, whatever it answers', async () => {
    const { where } = await router({
      pcp: (request) =>
        request[0] === 2
          ? Buffer.from('0080000100000000', 'hex')
          : Buffer.from('0080000000000001cb007107', 'hex'),
    });
    const [pcp, pmp] = await Promise.allSettled([findPcp(where, soon(300)), findNatPmp(where, soon())]);
    expect([pcp.status, pmp.status]).toEqual(['rejected', 'fulfilled']);
  });
});

describe('UPnP', () => {
  const http = (answers: Record<string, (body: string) => readonly [number, string]>): RouterBehaviour => ({
    location: (port) => `http://GATEWAY:${port}/root.xml`,
    http: (request, body) => {
      const action = /#(\w+)"/.exec(String(request.headers['soapaction']))?.[1];
      if (action === undefined) return [200, description('/ctl')];
      return (answers[action] ?? (() => [200, ADDRESS] as const))(body);
    },
  });
  /** The location needs the router's address, which is known only now. */
  async function upnp(behaviour: RouterBehaviour): Promise<FakeRouter> {
    last += 1;
    const address = `127.${process.pid % 200}.${Math.floor(process.pid / 200) % 200}.${last}`;
    const { location } = behaviour;
    const made = await FakeRouter.start(address, {
      ...behaviour,
      ...(location && { location: (port: number) => location(port).replace('GATEWAY', address) }),
    });
    routers.push(made);
    return made;
  }

  test('a port is mapped to this machine and taken back; the name is printable', async () => {
    const bodies: string[] = [];
    const keep = (body: string) => {
      bodies.push(body);
      return [200, ''] as const;
    };
    const { where, asked } = await upnp(http({ AddPortMapping: keep, DeletePortMapping: keep }));
    const mapper = await findUpnp(where, soon());
    expect(mapper.name).toBe('A [31mB & C');
    const granted = await mapper.map(REQUEST, soon());
    expect(granted).toEqual({ external: { address: '203.0.113.7', port: 4000 }, lifetimeS: 1200 });
    await mapper.unmap(REQUEST, granted, soon());
    expect(bodies[0]).toContain('<NewInternalClient>127.0.0.1</NewInternalClient>');
    expect(bodies[1]).toContain('<NewExternalPort>4000</NewExternalPort>');
    expect(asked.at(-1)).toBe('DeletePortMapping');
  });

  test('a taken port is replaced by another, and a router without leases gives one for ever', async () => {
    const seen: string[] = [];
    const { where } = await upnp(
      http({
        AddPortMapping: (body) => {
          const [, port = ''] = /<NewExternalPort>(\d+)</.exec(body) ?? [];
          const [, lease = ''] = /<NewLeaseDuration>(\d+)</.exec(body) ?? [];
          seen.push(`${port === '4000' ? 'wanted' : 'other'} ${lease}`);
          if (port === '4000') return failure(718);
          return lease === '0' ? [200, ''] : failure(725);
        },
      }),
    );
    const granted = await (await findUpnp(where, soon())).map(REQUEST, soon());
    expect(seen).toEqual(['wanted 1200', 'other 1200', 'other 0']);
    expect(granted.lifetimeS).toBe(Number.POSITIVE_INFINITY);
  });

  test('a router whose every port is taken is not asked for ever', async () => {
    const { where, asked } = await upnp(http({ AddPortMapping: () => failure(718) }));
    await expect((await findUpnp(where, soon())).map(REQUEST, soon())).rejects.toThrow(/718/);
    expect(asked.filter((action) => action === 'AddPortMapping')).toHaveLength(4);
  });

  test('a location elsewhere is not looked at: nobody makes us ask machines that trust us', async () => {
    const victim = await router({ http: () => [200, description('/ctl')] });
    for (const url of [
      `http://${victim.where.gateway}/root.xml`,
      `http://GATEWAY@${victim.where.gateway}/`,
      'https://GATEWAY/root.xml',
      'file:///etc/passwd',
    ]) {
      const { where } = await upnp({ location: () => url });
      await expect(findUpnp(where, soon(200))).rejects.toThrow();
    }
    expect(victim.asked).toEqual([]);
  });

  test('neither a control URL nor a redirection leads elsewhere', async () => {
    const victim = await router({ http: () => [200, ADDRESS] });
    const elsewhere = `http://${victim.where.gateway}:1/ctl`;
    const control = await upnp({ ...http({}), http: () => [200, description(elsewhere)] });
    await expect(findUpnp(control.where, soon())).rejects.toThrow(/no service/);
    const moving = await upnp({ ...http({}), http: () => [302, elsewhere] });
    await expect(findUpnp(moving.where, soon())).rejects.toThrow(/HTTP 302/);
    expect(victim.asked).toEqual([]);
  });

  test('a description without end is cut off', async () => {
    const { where } = await upnp({ ...http({}), http: () => [200, 'x'.repeat(10_000_000)] });
    await expect(findUpnp(where, soon())).rejects.toThrow(/too much/);
  });

  test('a router that says nothing over HTTP is left when the time is up', async () => {
    const { where } = await upnp({ ...http({}), http: () => [200, description('/ctl')] });
    const begun = performance.now();
    await expect(findUpnp({ ...where, gateway: '127.0.0.254' }, soon(150))).rejects.toThrow();
    expect(performance.now() - begun).toBeLessThan(4000);
  });
});

describe('the search', () => {
  test('takes whoever answers first and lists all', async () => {
    const { where } = await router({ pcp: (request) => (request[0] === 2 ? grant(request) : undefined) });
    const search = searchRouters(silentLogger, soon(1000), Promise.resolve(where));
    expect(await search.first).toMatchObject({ protocol: 'pcp', gateway: where.gateway });
    expect((await search.all).map(({ protocol }) => protocol)).toEqual(['pcp']);
  });

  test('without a gateway, and after an abort, there is nothing, and nobody hangs', async () => {
    const none = searchRouters(silentLogger, soon(), Promise.resolve(undefined));
    expect([await none.first, await none.all]).toEqual([undefined, []]);
    const { where } = await router({});
    const ended = searchRouters(silentLogger, AbortSignal.abort(), Promise.resolve(where));
    expect([await ended.first, await ended.all]).toEqual([undefined, []]);
  });
});

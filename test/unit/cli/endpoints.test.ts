import { describe, expect, test } from 'vitest';
import { EndpointProblem, parseLocal, parseServer } from '../../../src/cli/endpoints.js';

describe('servers', () => {
  test.each([
    ['stun.example.org', 'stun.example.org', 3478],
    ['stun.example.org:5000', 'stun.example.org', 5000],
    ['my-stun.example-host.org:5000', 'my-stun.example-host.org', 5000],
    ['under_score.example.org', 'under_score.example.org', 3478],
    ['192.0.2.1:19302', '192.0.2.1', 19302],
    ['[2001:db8::1]:5000', '2001:db8::1', 5000],
    ['[2001:db8::1]', '2001:db8::1', 3478],
    ['2001:470::1', '2001:470::1', 3478],
    ['smtps://mail.example.org', 'mail.example.org', 465],
    ['imaps://mail.example.org:1993', 'mail.example.org', 1993],
    ['mail.example.org:imaps', 'mail.example.org', 993],
    ['example.org.', 'example.org.', 3478],
    [' stun.example.org ', 'stun.example.org', 3478],
  ])('%s', (text, host, port) => {
    expect(parseServer(text, 3478)).toEqual({ host, port });
  });

  test.each([
    ['', /no host/],
    [':3478', /no host/],
    ['host:0', /port 0/],
    ['host:65536', /port 65536/],
    ['host:nosuch', /unknown port "nosuch"/],
    ['host:1:2', /unknown port/],
    ['1.2.3', /no IPv4/],
    ['1.2.3.4.5:80', /no IPv4/],
    ['999.1.1.1', /no IPv4/],
    ['[2001:db8::g]:1', /no IPv6/],
    ['gopher://host', /unknown port "gopher"/],
    ['ho st', /no host name/],
    ['-host', /no host name/],
    ['host-', /no host name/],
    ['a..b', /no host name/],
    [`${'a'.repeat(64)}.org`, /no host name/],
    ['host\n', undefined],
    ['ho\nst', /no host name/],
  ])('%j is refused with a reason', (text, reason) => {
    if (reason) expect(() => parseServer(text, 1)).toThrow(reason);
    else expect(parseServer(text, 1)).toEqual({ host: 'host', port: 1 });
  });
});

describe('local addresses', () => {
  test.each([
    ['0.0.0.0:0', '0.0.0.0', 0],
    ['192.0.2.1', '192.0.2.1', 7],
    ['[::]:5000', '::', 5000],
    ['localhost:5', '127.0.0.1', 5],
  ])('%s', (text, address, port) => {
    expect(parseLocal(text, 7)).toEqual({ address, port });
  });

  test('a name is refused: binding must not depend on a name server', () => {
    expect(() => parseLocal('eth0', 0)).toThrow(EndpointProblem);
    expect(() => parseLocal('eth0', 0)).toThrow(/needs an IP address of this machine, not "eth0"/);
  });
});

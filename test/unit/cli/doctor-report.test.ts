import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { parseReport, readReport } from '../../../src/cli/doctor-report.js';
import { StunServer } from '../../../src/stun/server.js';
import { callAwl } from '../../support/cli.js';
import { tempDir } from '../../support/tmp.js';

const REPORT = {
  v: 1,
  endpoint: '203.0.113.7:4000',
  report: {
    nat: 'yes',
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    hairpin: 'no',
    portPreservation: 'not-measured',
    portStep: -2,
  },
  portMapping: { state: 'mapped', external: '203.0.113.7:4001', router: '\u001b[31m' },
  ipv6: { address: '2001:db8::1', endpoint: '[2001:db8::1]:4000' },
};

const servers: StunServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

describe('a report from the other side', () => {
  test('is read for what the prediction needs, and nothing else', () => {
    expect(parseReport(JSON.stringify(REPORT))).toEqual({
      nat: REPORT.report,
      outer: { address: '203.0.113.7', port: 4000 },
      mapped: { address: '203.0.113.7', port: 4001 },
      ipv6: '2001:db8::1',
    });
    const { v, report } = REPORT;
    expect(parseReport(JSON.stringify({ v, report, endpoint: null }))).toEqual({ nat: report });
  });

  test.each<[string, unknown]>([
    ['no object', [1]],
    ['another version', { ...REPORT, v: 2 }],
    ['no version', { ...REPORT, v: undefined }],
    ['no NAT report', { ...REPORT, report: 'yip-y' }],
    ['a word that is none', { ...REPORT, report: { ...REPORT.report, mapping: '__proto__' } }],
    ['a missing word', { ...REPORT, report: { ...REPORT.report, nat: undefined } }],
    ['half a port', { ...REPORT, report: { ...REPORT.report, portStep: 1.5 } }],
    ['a name for an address', { ...REPORT, endpoint: 'example.org:4000' }],
    ['a number for an address', { ...REPORT, ipv6: { endpoint: 7 } }],
  ])('%s is refused', (_, value) => {
    expect(() => parseReport(JSON.stringify(value))).toThrow(Error);
  });

  test('whatever it holds, only an Error comes of it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        expect(() => parseReport(text)).toThrow(Error);
      }),
      { numRuns: 2000 },
    );
  });

  test('a file that is none, is too large or is a folder is named', () => {
    const folder = tempDir();
    const file = join(folder, 'r.json');
    writeFileSync(file, ' '.repeat(70_000));
    for (const name of [join(folder, 'missing'), folder, file]) {
      expect(() => readReport(name)).toThrow(/cannot read the peer's report/);
    }
    writeFileSync(file, '{}');
    expect(() => readReport(file)).toThrow(/cannot use the peer's report .*no report of this version/);
  });
});

test('what one doctor writes another one reads: the pair is named, and strangers on the machine read nothing', async () => {
  const server = await StunServer.start({ addresses: ['127.0.0.1', '127.0.0.2'], port: 0, altPort: 0 });
  servers.push(server);
  const file = join(tempDir(), 'me.json');
  const common = ['doctor', `--stun-server=127.0.0.1:${server.endpoint.port}`, '--stun-client=127.0.0.1:0'];
  expect((await callAwl([...common, `--report=${file}`])).status).toBe(0);
  expect(statSync(file).mode & 0o077).toBe(0);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ v: 1, report: { nat: 'no' } });
  const words = await callAwl([...common, `--peer-report=${file}`]);
  expect(words.out).toMatch(/^With this peer {3}direct, by addresses of the own network: /m);
  const json = await callAwl([...common, '--json', `--peer-report=${file}`]);
  expect(JSON.parse(json.out)).toMatchObject({ peer: { outcome: 'direct', rung: 'host' } });
  const alone = await callAwl(['doctor', '--rendezvous=file', '--file-dir=x', `--peer-report=${file}`]);
  expect(alone.err).toMatch(/--peer-report means nothing without a STUN server/);
  const nowhere = await callAwl([...common, '--report=/nonexistent/x']);
  expect(nowhere.status).toBe(73);
});

import { expect, test } from 'vitest';
import {
  formatExport,
  formatTarget,
  type ImportSpec,
  isExported,
  parseExport,
  parseImport,
  parseTarget,
} from '../../../src/wire/tunnel-target.js';

test.each([
  ['22', 'tcp:127.0.0.1:22'],
  ['tcp:127.0.0.1:5432', 'tcp:127.0.0.1:5432'],
  ['8000-8010', 'tcp:127.0.0.1:8000-8010'],
  ['udp:51820', 'udp:127.0.0.1:51820'],
  ['unix:/run/app.sock', 'unix:/run/app.sock'],
  ['NAS.local:22', 'tcp:nas.local:22'],
  ['udp:[2001:DB8::1]:53', 'udp:[2001:db8::1]:53'],
])('export %s is %s', (text, canonical) => {
  expect(formatExport(parseExport(text))).toBe(canonical);
  expect(formatExport(parseExport(canonical))).toBe(canonical);
});

test.each([
  '',
  '0',
  '65536',
  '22-21',
  'tcp:',
  'unix:',
  'unix:/a:b',
  'tcp:unix:/a',
  '999.1.1.1:22',
  '[::1:22',
  '22 ',
  'a b:22',
  'sctp:22x',
  '22:',
  ':22',
  '22-',
  '-22',
  '1-2-3',
  'unix:/a\n',
  '[1.2.3]:4',
])('%j is no export', (text) => {
  expect(() => parseExport(text)).toThrow(RangeError);
});

const shown = ({ local, target }: ImportSpec) =>
  `${'path' in local ? local.path : `${local.address} ${local.port}`} > ${formatTarget(target)}`;

test.each([
  ['8080', '127.0.0.1 8080 > tcp:127.0.0.1:8080'],
  ['2222:22', '127.0.0.1 2222 > tcp:127.0.0.1:22'],
  ['127.0.0.1:2222:22', '127.0.0.1 2222 > tcp:127.0.0.1:22'],
  ['0.0.0.0:2222:nas:22', '0.0.0.0 2222 > tcp:nas:22'],
  ['2222:nas:22', '127.0.0.1 2222 > tcp:nas:22'],
  ['10.0.0.1:80', '10.0.0.1 80 > tcp:127.0.0.1:80'],
  ['[::1]:2222:[::1]:22', '::1 2222 > tcp:[::1]:22'],
  ['udp:51820', '127.0.0.1 51820 > udp:127.0.0.1:51820'],
  ['udp:5353:53', '127.0.0.1 5353 > udp:127.0.0.1:53'],
  ['unix:/tmp/x.sock:22', '/tmp/x.sock > tcp:127.0.0.1:22'],
  ['2222:unix:/run/app.sock', '127.0.0.1 2222 > unix:/run/app.sock'],
  ['unix:/tmp/x:unix:/run/y', '/tmp/x > unix:/run/y'],
])('import %s is %s', (text, expected) => {
  expect(parseImport(text).map(shown)).toEqual([expected]);
});

test('a range listens on each of its ports and keeps their order', () => {
  expect(parseImport('8000-8002:9000-9002').map(shown)).toEqual([
    '127.0.0.1 8000 > tcp:127.0.0.1:9000',
    '127.0.0.1 8001 > tcp:127.0.0.1:9001',
    '127.0.0.1 8002 > tcp:127.0.0.1:9002',
  ]);
});

test.each([
  ['8000-8002:9000-9001', /different lengths/],
  ['1-65535', /the most is/],
  [`unix:/${'a'.repeat(107)}:22`, /path of 108 bytes; a socket's has 107/],
  [`22:unix:/${'ü'.repeat(54)}`, /path of 109 bytes/],
  ['nas:22', /no IP address; write LOCALPORT:nas:PORT/],
  ['udp:unix:/a:53', /carries connections/],
  ['udp:53:unix:/a', /carries connections/],
  ['unix:/a', /what the socket leads to/],
  ['1-2:unix:/a', /several ports and one Unix socket/],
  ['1:2:3:4:5', /is not/],
  ['', /is not/],
])('import %j is refused, and says why', (text, why) => {
  expect(() => parseImport(text)).toThrow(why);
});

test('only what stands on the list is exported: host, port, protocol and path must all fit', () => {
  const list = ['8000-8010', 'udp:53', 'nas:22', 'unix:/run/app.sock'].map(parseExport);
  const allowed = (text: string) => isExported(parseTarget(text), list);
  for (const text of ['8000', '8010', 'tcp:127.0.0.1:8005', 'udp:53', 'NAS:22', 'unix:/run/app.sock']) {
    expect(allowed(text), text).toBe(true);
  }
  for (const text of [
    '7999',
    '8011',
    'udp:8000',
    '53',
    '22',
    '127.0.0.2:8000',
    'localhost:8000',
    '[::1]:8000',
    '[::ffff:127.0.0.1]:8000',
    'nas.local:22',
    'unix:/run/app.sock2',
    'unix:/run/../run/app.sock',
  ]) {
    expect(allowed(text), text).toBe(false);
  }
});

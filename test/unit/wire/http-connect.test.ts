import { expect, test } from 'vitest';
import {
  ConnectProblem,
  encodeConnectAnswer,
  HTTP_HEAD_BYTES,
  readConnect,
} from '../../../src/wire/http-connect.js';

const read = (text: string) => readConnect(Buffer.from(text, 'latin1'));

test('a head of curl is read, with what follows left over', () => {
  const head = 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nUser-Agent: curl/8\r\n\r\n';
  expect(read(`${head}\x16\x03`)).toEqual({ host: 'example.com', port: 443, length: head.length });
  for (let cut = 0; cut < head.length; cut++) expect(read(head.slice(0, cut))).toBeUndefined();
  expect(read('CONNECT [::1]:22 HTTP/1.0\n\n')).toEqual({ host: '::1', port: 22, length: 27 });
});

test.each([
  ['GET http://example.com/ HTTP/1.1\r\n', 405],
  ['CONNECT example.com HTTP/1.1\r\n', 400],
  ['CONNECT a b:1 HTTP/1.1\r\n', 400],
  ['CONNECT a:0 HTTP/1.1\r\n\r\n', 400],
  ['CONNECT a:65536 HTTP/1.1\r\n\r\n', 400],
  ['CONNECT a:1 HTTP/2\r\n', 400],
  ['CONNECT \u00e9:1 HTTP/1.1\r\n', 400],
  ['hello\r\n', 400],
  [`CONNECT a:1 HTTP/1.1\r\n${'x: y\r\n'.repeat(2_000)}`, 431],
  ['x'.repeat(HTTP_HEAD_BYTES), 431],
] as const)('head %# is answered at once, with its status', (text, status) => {
  try {
    read(text);
    expect.unreachable();
  } catch (error) {
    expect((error as ConnectProblem).status).toBe(status);
    expect(error).toBeInstanceOf(ConnectProblem);
  }
});

test('an answer is one head and one line that the peer cannot break', () => {
  expect(encodeConnectAnswer(200).toString()).toBe('HTTP/1.1 200 Connection established\r\n\r\n');
  const text = encodeConnectAnswer(502, 'no\r\nX-Evil: 1').toString();
  expect(text).toContain('\r\n\r\nno  X-Evil: 1\n');
  expect(text).toContain('Content-Length: 14\r\n');
});

import { request } from 'node:http';
import { XML_MAX_BYTES } from './limits.js';

export interface RouterRequest {
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * The URL if it may be asked: plain HTTP at the gateway's own address and nowhere else, whatever a router says. Otherwise any
 * machine of the network could let us ask others, which trust us more than it.
 */
export function routerUrl(text: string, gateway: string, base?: URL): URL | undefined {
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    return undefined;
  }
  const own =
    url.protocol === 'http:' && url.hostname === gateway && url.username === '' && url.password === '';
  return own && url.port !== '0' ? url : undefined;
}

/**
 * One HTTP exchange with the router. Redirections are not followed, nothing is unpacked, and what is longer than
 * XML_MAX_BYTES is an error.
 * @throws Error; the signal's reason
 */
export function askRouter(
  url: URL,
  { method, headers, body }: RouterRequest,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
    const options = { method, signal, agent: false, headers: { Connection: 'close', ...headers, ...length } };
    const asked = request(url, options, (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('error', reject);
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > XML_MAX_BYTES) asked.destroy(new Error('the router says too much'));
        else parts.push(part);
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') });
      });
    });
    asked.on('error', (error) => reject(signal.aborted ? signal.reason : error));
    asked.end(body);
  });
}

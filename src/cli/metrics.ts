import { createServer } from 'node:http';
import { AwlError, errorText } from '../errors.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';

/** Numbers by name, with labels if it has some (`name{key="value"}`); a name that ends in `_total` only rises. */
export type Metrics = Readonly<Record<string, number>>;

export interface MetricsServer {
  readonly endpoint: Endpoint;
  close(): Promise<void>;
}

/** A scraper asks every few seconds over one or two connections. */
const CONNECTIONS_MAX = 16;
const HEADERS_MS = 5_000;

/** Prometheus text (exposition format 0.0.4): a line with the type of each name, then one for each set of labels. */
export function metricsText(metrics: Metrics): string {
  const families = new Map<string, string[]>();
  for (const [labelled, value] of Object.entries(metrics)) {
    const name = labelled.split('{', 1)[0] ?? labelled;
    families.set(name, [...(families.get(name) ?? []), `${labelled} ${value}\n`]);
  }
  return [...families]
    .map(
      ([name, lines]) => `# TYPE ${name} ${name.endsWith('_total') ? 'counter' : 'gauge'}\n${lines.join('')}`,
    )
    .join('');
}

/** A name with its labels, as {@link Metrics} has it. */
export function labelled(name: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escaped(value)}"`);
  return `${name}{${pairs.join(',')}}`;
}

/** Exposition format 0.0.4: backslash, quote and line feed are escaped; other control characters have no place. */
function escaped(value: string): string {
  return value
    .replace(/[\\"]/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replace(/\p{Cc}/gu, ' ');
}

/**
 * Serves numbers at /metrics and nothing else; whoever can connect can read them, and change nothing.
 * @throws AwlError TCP_BIND if the address cannot be had
 */
export async function serveMetrics(at: Endpoint, read: () => Metrics): Promise<MetricsServer> {
  const begun = performance.now();
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?', 1)[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    const own = {
      awl_up_seconds: Math.round((performance.now() - begun) / 1000),
      awl_resident_bytes: process.memoryUsage.rss(),
    };
    response
      .writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
      .end(metricsText({ ...read(), ...own }));
  });
  server.headersTimeout = HEADERS_MS;
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const problem = `cannot serve metrics on ${formatEndpoint(at)}: ${errorText(cause)}`;
      const hint = 'name a free port of this machine with --metrics, for example 127.0.0.1:9469';
      reject(new AwlError('TCP_BIND', problem, { hint, cause }));
    });
    server.listen(at.port, at.address, resolve);
  });
  // One broken connection is no reason to end the service beside it.
  server.removeAllListeners('error').on('error', () => {});
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : at.port;
  return {
    endpoint: { address: at.address, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

import { createServer } from 'node:http';
import { AwlError, errorText } from '../errors.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';

export interface MetricsServer {
  readonly endpoint: Endpoint;
  close(): Promise<void>;
}

/**
 * Serves numbers as Prometheus text (exposition format 0.0.4) at /metrics, and nothing else.
 * @throws AwlError USAGE_BAD_VALUE if the address cannot be had
 */
export async function serveMetrics(at: Endpoint, read: () => Record<string, number>): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    const lines = Object.entries(read()).map(([name, value]) => `${name} ${value}\n`);
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(lines.join(''));
  });
  server.headersTimeout = 5000;
  server.maxConnections = 16;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new AwlError(
          'USAGE_BAD_VALUE',
          `--metrics ${formatEndpoint(at)} cannot be had: ${errorText(error)}`,
          {
            hint: 'name a free port of this machine, for example 127.0.0.1:9469',
            cause: error,
          },
        ),
      ),
    );
    server.listen(at.port, at.address, resolve);
  });
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

import { execFileSync } from 'node:child_process';

/** A self-signed certificate on a P-256 key by the openssl command, for two days; what it says on standard output. */
export function certify(...args: string[]): string {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const words = ['req', '-x509', ...key, '-days', '2', ...args];
  return execFileSync('openssl', words, { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
}

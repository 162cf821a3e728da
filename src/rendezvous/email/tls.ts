import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { HostPort } from '../../util/host-port.js';
import type { EmailSettings } from './settings.js';

/**
 * TLS for both mail protocols: chain and host name are checked unless the user typed that they must not be, and a CA
 * given by the user replaces the system's (pins).
 */
export function tlsOptions(settings: EmailSettings, server: HostPort): ConnectionOptions {
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: settings.insecure !== true,
    ...(isIP(server.host) === 0 && { servername: server.host }),
    ...(settings.ca !== undefined && { ca: settings.ca }),
    ...(settings.cert !== undefined &&
      settings.key !== undefined && { cert: settings.cert, key: settings.key }),
  };
}

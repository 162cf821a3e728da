import { ImapFlow } from 'imapflow';
import { MESSAGE_MAX_BYTES } from '../../constants.js';
import { mailError } from './failure.js';
import type { EmailSettings } from './settings.js';
import { tlsOptions } from './tls.js';

export interface ImapOptions {
  /** For connection, TLS, greeting, login and SELECT together. */
  readonly connectMs: number;
  readonly signal: AbortSignal;
}

/** A client that does only what we ask for, and takes no answer larger than what we could have asked for. */
function makeClient(settings: EmailSettings, connectMs: number, alpn: readonly string[]): ImapFlow {
  return new ImapFlow({
    host: settings.imaps.host,
    port: settings.imaps.port,
    secure: true,
    auth: { user: settings.login, pass: settings.password },
    tls: { ...tlsOptions(settings, settings.imaps), ALPNProtocols: [...alpn] },
    logger: false,
    clientInfo: { name: 'awl', version: false, vendor: false, 'support-url': false },
    // IDLE when we say so; none of the extensions that change what servers answer.
    disableAutoIdle: true,
    disableAutoEnable: true,
    disableIMAP4rev2: true,
    disableCompression: true,
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    // We ask something every half minute; a socket that is silent longer than this is dead.
    socketTimeout: 5 * 60_000,
    maxLineLength: 4 * MESSAGE_MAX_BYTES,
    maxLiteralSize: 2 * MESSAGE_MAX_BYTES,
    maxResponseSize: 8 * MESSAGE_MAX_BYTES,
  });
}

async function attempt(settings: EmailSettings, o: ImapOptions, alpn: readonly string[]): Promise<ImapFlow> {
  o.signal.throwIfAborted();
  const client = makeClient(settings, o.connectMs, alpn);
  let fault: unknown;
  client.on('error', (error) => {
    fault ??= error;
  });
  const onAbort = () => client.close();
  o.signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => {
    fault ??= new Error('no answer in time');
    client.close();
  }, o.connectMs);
  try {
    await client.connect();
    await client.mailboxOpen('INBOX');
    if (!client.usable || !client.mailbox) throw new Error('the connection was closed');
    return client;
  } catch (error) {
    client.close();
    o.signal.throwIfAborted();
    throw fault ?? error;
  } finally {
    clearTimeout(timer);
    o.signal.removeEventListener('abort', onAbort);
  }
}

function refusedAlpn(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /NO_APPLICATION_PROTOCOL/.test(String(error.code));
}

/**
 * A new connection, logged in, with INBOX selected. It names its protocol in the TLS handshake (ALPN, RFC 7301), so that
 * nobody can lead it to another service of the same certificate; a TLS front that knows only other names gets none.
 * @throws AwlError RENDEZVOUS_UNREACHABLE, RENDEZVOUS_REFUSED, RENDEZVOUS_UNTRUSTED; the signal's reason if aborted
 */
export async function openInbox(settings: EmailSettings, o: ImapOptions): Promise<ImapFlow> {
  try {
    try {
      return await attempt(settings, o, ['imap']);
    } catch (error) {
      if (!refusedAlpn(error)) throw error;
      return await attempt(settings, o, []);
    }
  } catch (error) {
    o.signal.throwIfAborted();
    throw mailError(error, 'reading mail', settings.imaps, settings);
  }
}

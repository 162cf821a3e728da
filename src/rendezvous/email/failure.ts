import { AwlError, type ErrorCode, errorText } from '../../errors.js';
import { formatHostPort, type HostPort } from '../../util/host-port.js';
import type { EmailSettings } from './settings.js';

/** What mail libraries hang on their errors; every field may be missing or of another type. */
interface MailFault {
  readonly code?: unknown;
  /** nodemailer: the code of the socket error that it wrapped. */
  readonly originalCode?: unknown;
  readonly authenticationFailed?: unknown;
  readonly serverResponseCode?: unknown;
  readonly responseCode?: unknown;
  readonly response?: unknown;
  readonly responseText?: unknown;
  readonly reason?: unknown;
}

const TLS_CODE =
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_|EPROTO$)/;
// RFC 5530: the account is fine, the server is not.
const PASSING = /^(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG|CONTACTADMIN)$/;

function hintForTls(code: string, server: HostPort): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `the certificate is for another name than ${server.host}: use the server's proper name`;
  }
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/.test(code)) {
    return 'the server wants a client certificate: give --email-cert and --email-key';
  }
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH|EPROTO|UNKNOWN_PROTOCOL/.test(code)) {
    return `port ${server.port} does not speak TLS from the first byte; the usual ports are 465 (smtps) and 993 (imaps)`;
  }
  if (/EXPIRED|NOT_YET_VALID/.test(code))
    return "the server's certificate or this machine's clock is out of date";
  return 'if the server has a private CA give its certificate with --email-ca; it is pinned then';
}

/** Takes account secrets and control characters out of text that a server sent. */
function scrub(text: string, settings: EmailSettings): string {
  let out = text;
  for (const secret of [settings.password, Buffer.from(settings.password).toString('base64')]) {
    if (secret.length >= 4) out = out.replaceAll(secret, '[redacted]');
  }
  return out
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, 200);
}

/**
 * Turns whatever a mail library threw into the diagnosis the user needs: RENDEZVOUS_REFUSED for login and for what the
 * server refuses for good, RENDEZVOUS_UNTRUSTED for TLS, RENDEZVOUS_UNREACHABLE for everything that may pass.
 */
export function mailError(
  error: unknown,
  doing: string,
  server: HostPort,
  settings: EmailSettings,
): AwlError {
  if (error instanceof AwlError) return error;
  const fault: MailFault = typeof error === 'object' && error !== null ? error : {};
  const code = [fault.originalCode, fault.code].find((text) => typeof text === 'string') ?? '';
  const status = typeof fault.responseCode === 'number' ? fault.responseCode : 0;
  const answer = [fault.responseText, fault.response, fault.reason].find((text) => typeof text === 'string');
  const what = scrub(`${errorText(error)}${typeof answer === 'string' ? `: ${answer}` : ''}`, settings);
  const make = (kind: ErrorCode, hint: string) =>
    new AwlError(kind, `${doing} at ${formatHostPort(server)} failed: ${what || code || 'no reason given'}`, {
      hint,
    });
  const passing =
    (status >= 400 && status < 500) ||
    (typeof fault.serverResponseCode === 'string' && PASSING.test(fault.serverResponseCode));
  if ((fault.authenticationFailed === true || code === 'EAUTH') && !passing) {
    return make(
      'RENDEZVOUS_REFUSED',
      'check --email-login and the password; many providers want an app password made for this purpose',
    );
  }
  if (TLS_CODE.test(code)) return make('RENDEZVOUS_UNTRUSTED', hintForTls(code, server));
  if (status >= 500) {
    return make(
      'RENDEZVOUS_REFUSED',
      'the owners in both identities must be mail addresses the server knows',
    );
  }
  return make('RENDEZVOUS_UNREACHABLE', 'check the network, the server name and the port');
}

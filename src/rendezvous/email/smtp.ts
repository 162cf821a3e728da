import { connect, type TLSSocket } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { AwlError } from '../../errors.js';
import { deadline } from '../../util/sleep.js';
import { mailError } from './failure.js';
import type { EmailSettings } from './settings.js';
import { tlsOptions } from './tls.js';

export interface OutgoingMail {
  readonly from: string;
  readonly to: string;
  /** Headers and body, CRLF. */
  readonly raw: string;
}

function encrypted(settings: EmailSettings, signal: AbortSignal): Promise<TLSSocket> {
  const { host, port } = settings.smtps;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ...tlsOptions(settings, settings.smtps) });
    const onAbort = () => socket.destroy(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('secureConnect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
    // Whatever comes after the hand-over belongs to the SMTP client; an error must never go unheard.
    socket.on('error', () => {});
    socket.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      reject(Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' }));
    });
  });
}

function step(run: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    run((error) => (error ? reject(error) : resolve()));
  });
}

export interface SubmissionOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

type Race = (run: Promise<void>) => Promise<void>;

/**
 * Hands one mail to the submission server over implicit TLS; resolves when the server has taken it.
 * @throws AwlError RENDEZVOUS_UNREACHABLE, RENDEZVOUS_REFUSED, RENDEZVOUS_UNTRUSTED; the signal's reason if aborted
 */
export function sendMail(settings: EmailSettings, mail: OutgoingMail, o: SubmissionOptions): Promise<void> {
  return submit(settings, o, 'sending mail', (client, race) =>
    race(step((done) => client.send({ from: mail.from, to: [mail.to] }, mail.raw, done))),
  );
}

/** Would the submission server take mail of ours? Logs in, sends nothing, leaves. @throws AwlError as {@link sendMail} */
export function tryLogin(settings: EmailSettings, o: SubmissionOptions): Promise<void> {
  return submit(settings, o, 'logging in to send mail', async () => {});
}

/** One session of a logged-in client. The TLS socket is ours, so that abort and time limit end it in any phase. */
async function submit(
  settings: EmailSettings,
  o: SubmissionOptions,
  what: string,
  use: (client: SMTPConnection, race: Race) => Promise<void>,
): Promise<void> {
  o.signal.throwIfAborted();
  const limit = deadline(
    o.timeoutMs,
    () =>
      new AwlError(
        'RENDEZVOUS_UNREACHABLE',
        `the mail server ${settings.smtps.host} did not take the mail in time`,
      ),
    o.signal,
  );
  let socket: TLSSocket | undefined;
  let connection: SMTPConnection | undefined;
  let taken = false;
  try {
    socket = await encrypted(settings, limit.signal);
    const client = new SMTPConnection({
      connection: socket,
      secure: true,
      secured: true,
      host: settings.smtps.host,
      port: settings.smtps.port,
      // An address literal, as mail programs use: the machine's name is nobody's business.
      name: '[127.0.0.1]',
      logger: false,
      connectionTimeout: o.timeoutMs,
      greetingTimeout: o.timeoutMs,
      socketTimeout: o.timeoutMs,
      maxResponseSize: 64 * 1024,
      socketCloseTimeout: 1000,
    });
    connection = client;
    const failed = new Promise<never>((_, reject) => client.on('error', reject));
    failed.catch(() => {});
    const race: Race = (run) => Promise.race([run, failed]);
    await race(step((done) => client.connect(done)));
    await race(
      step((done) =>
        client.login(
          { user: settings.login, credentials: { user: settings.login, pass: settings.password } },
          done,
        ),
      ),
    );
    await use(client, race);
    taken = true;
  } catch (error) {
    limit.signal.throwIfAborted();
    throw mailError(error, what, settings.smtps, settings);
  } finally {
    limit.dispose();
    if (taken) connection?.quit();
    else {
      connection?.close();
      socket?.destroy();
    }
  }
}

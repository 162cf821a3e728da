import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { EmailSettings } from '../../src/rendezvous/email/settings.js';

const run = promisify(execFile);
const SCRIPT = new URL('../../scripts/mailserver', import.meta.url).pathname;

export interface MailServerOptions {
  readonly mtls?: boolean;
  /** What Dovecot announces instead of its own capabilities. */
  readonly capability?: string;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A private real Dovecot + Exim on loopback for one test file: alice and bob at awl.test. */
export class MailServer {
  readonly ca: string;
  readonly client: { readonly cert: string; readonly key: string };
  readonly #dir: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(dir: string, env: NodeJS.ProcessEnv, ca: string, cert: string, key: string) {
    this.#dir = dir;
    this.#env = env;
    this.ca = ca;
    this.client = { cert, key };
  }

  static async start(o: MailServerOptions = {}): Promise<MailServer> {
    const dir = await mkdtemp(join(tmpdir(), 'awl-mail-'));
    const env = {
      ...process.env,
      IMAPS_PORT: String(await freePort()),
      SMTPS_PORT: String(await freePort()),
      LMTP_PORT: String(await freePort()),
      MAIL_DOMAIN: 'awl.test',
      ...(o.mtls && { MTLS: 'yes' }),
      ...(o.capability && { IMAP_CAPABILITY: o.capability }),
    };
    await run(SCRIPT, ['start', dir], { env, timeout: 30_000 });
    const pem = (name: string) => readFile(join(dir, 'tls', name), 'utf8');
    return new MailServer(dir, env, await pem('ca.crt'), await pem('client.crt'), await pem('client.key'));
  }

  get smtpsPort(): number {
    return Number(this.#env['SMTPS_PORT']);
  }

  get imapsPort(): number {
    return Number(this.#env['IMAPS_PORT']);
  }

  settings(user: 'alice' | 'bob', change: Partial<EmailSettings> = {}): EmailSettings {
    return {
      smtps: { host: 'localhost', port: this.smtpsPort },
      imaps: { host: 'localhost', port: this.imapsPort },
      login: `${user}@awl.test`,
      password: `${user}pw`,
      ca: this.ca,
      ...change,
    };
  }

  /** Hands a raw mail straight to the delivery agent, as another mail server would. */
  deliver(user: 'alice' | 'bob', mails: readonly string[]): Promise<void> {
    return lmtp(Number(this.#env['LMTP_PORT']), `${user}@awl.test`, mails);
  }

  /** Number of mails in the INBOX, by the files on disk; those marked as deleted are not counted. */
  async count(user: 'alice' | 'bob'): Promise<number> {
    // Dovecot renames files while this reads, so one mail can be seen under two names.
    const mails = new Map<string, boolean>();
    for (const folder of ['new', 'cur']) {
      const path = join(this.#dir, 'home', user, 'Maildir', folder);
      for (const name of await readdir(path).catch(() => [] as string[])) {
        const [mail = name, flags = ''] = name.split(':2,');
        mails.set(mail, (mails.get(mail) ?? false) || flags.includes('T'));
      }
    }
    return [...mails.values()].filter((deleted) => !deleted).length;
  }

  async stop(): Promise<void> {
    await run(SCRIPT, ['stop', this.#dir], { env: this.#env, timeout: 30_000 });
  }

  async restart(): Promise<void> {
    await this.stop();
    await run(SCRIPT, ['start', this.#dir], { env: this.#env, timeout: 30_000 });
  }

  /** Empties a mailbox so that the server makes it anew, with another UIDVALIDITY. */
  async rebuild(user: 'alice' | 'bob'): Promise<void> {
    await rm(join(this.#dir, 'home', user, 'Maildir'), { recursive: true, force: true });
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

async function lmtp(port: number, to: string, mails: readonly string[]): Promise<void> {
  const { connect } = await import('node:net');
  const socket = connect(port, '127.0.0.1');
  socket.setEncoding('latin1');
  let pending = '';
  const lines: string[] = [];
  const waiting: ((line: string) => void)[] = [];
  socket.on('data', (chunk: string) => {
    pending += chunk;
    for (let end = pending.indexOf('\r\n'); end >= 0; end = pending.indexOf('\r\n')) {
      const line = pending.slice(0, end);
      pending = pending.slice(end + 2);
      if (/^\d{3} /.test(line)) {
        const wake = waiting.shift();
        if (wake) wake(line);
        else lines.push(line);
      }
    }
  });
  const reply = async (code: string) => {
    const line = lines.shift() ?? (await new Promise<string>((resolve) => waiting.push(resolve)));
    if (!line.startsWith(code)) throw new Error(`LMTP: ${line}`);
  };
  const say = (line: string) => socket.write(`${line}\r\n`, 'latin1');
  try {
    await reply('220');
    say('LHLO test');
    await reply('250');
    for (const mail of mails) {
      say('MAIL FROM:<somebody@elsewhere.test>');
      await reply('250');
      say(`RCPT TO:<${to}>`);
      await reply('250');
      say('DATA');
      await reply('354');
      say(`${mail.replace(/\r?\n/g, '\r\n').replace(/^\./gm, '..')}\r\n.`);
      await reply('250');
    }
    say('QUIT');
  } finally {
    socket.end();
  }
}

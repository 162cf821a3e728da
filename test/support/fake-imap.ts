import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { EmailSettings } from '../../src/rendezvous/email/settings.js';
import { certify } from './certify.js';

export interface FakeMail {
  uid: number;
  /** Header and text, LF line ends are turned into CRLF. */
  readonly raw: string;
  readonly arrivedAt: Date;
  /** What the server claims the size to be; default: the truth. */
  readonly size?: number;
}

export interface FakeOptions {
  capability?: string;
  uidValidity?: number;
  /**
   * Sees every command first. Returns text to send instead of the proper answer, `drop` to cut the connection, `hang` to say
   * nothing, undefined to answer properly.
   */
  hook?: (command: string, line: string, tag: string) => string | 'drop' | 'hang' | undefined;
}

let certificate: { readonly key: string; readonly cert: string } | undefined;

/** One certificate for localhost, which every fake mail server of the process shows. */
export function selfSigned(): { readonly key: string; readonly cert: string } {
  if (certificate) return certificate;
  const dir = mkdtempSync(join(tmpdir(), 'awl-fake-'));
  const [key, cert] = [join(dir, 'key'), join(dir, 'cert')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  certify(...subject, '-keyout', key, '-out', cert);
  certificate = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  rmSync(dir, { recursive: true });
  return certificate;
}

const literal = (text: string) => `{${Buffer.byteLength(text, 'latin1')}}\r\n${text}`;

/** A small IMAP server over TLS that does just what awl asks of one, and misbehaves on command. */
export class FakeImap {
  mails: FakeMail[] = [];
  /** Every command line received, over all connections. */
  readonly log: string[] = [];
  connections = 0;
  readonly options: FakeOptions;
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();
  readonly #idling = new Map<TLSSocket, string>();
  /** Also those still in their TLS handshake, which would keep the server from closing. */
  readonly #raw = new Set<Socket>();
  #next = 1;

  private constructor(options: FakeOptions) {
    this.options = options;
    this.#server = createServer(selfSigned(), (socket) => this.#serve(socket));
    this.#server.on('tlsClientError', () => {});
    this.#server.on('connection', (socket: Socket) => {
      if (!this.#server.listening) socket.destroy();
      this.#raw.add(socket);
      socket.once('close', () => this.#raw.delete(socket));
    });
  }

  static async start(options: FakeOptions = {}): Promise<FakeImap> {
    const fake = new FakeImap(options);
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  settings(change: Partial<EmailSettings> = {}): EmailSettings {
    const address = this.#server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const { cert } = selfSigned();
    const server = { host: 'localhost', port };
    return {
      smtps: server,
      imaps: server,
      login: 'bob@awl.test',
      password: 'hunter2secret',
      ca: cert,
      ...change,
    };
  }

  /** Puts a mail into the mailbox and tells whoever is in IDLE. */
  deliver(raw: string, o: { size?: number; arrivedAt?: Date } = {}): FakeMail {
    const mail: FakeMail = {
      uid: this.#next++,
      raw: raw.replace(/\r?\n/g, '\r\n'),
      arrivedAt: o.arrivedAt ?? new Date(),
      ...(o.size !== undefined && { size: o.size }),
    };
    this.mails.push(mail);
    for (const socket of this.#idling.keys()) socket.write(`* ${this.mails.length} EXISTS\r\n`);
    return mail;
  }

  /** Cuts every connection without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    for (const socket of this.#raw) socket.destroy();
    await closed;
  }

  #serve(socket: TLSSocket): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#idling.delete(socket);
    });
    const greeting = this.options.hook?.('GREETING', '', '*');
    if (greeting === 'drop') socket.destroy();
    else if (greeting !== 'hang') socket.write(greeting ?? '* OK fake ready\r\n');
    let pending = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      pending += chunk;
      for (let end = pending.indexOf('\r\n'); end >= 0; end = pending.indexOf('\r\n')) {
        const line = pending.slice(0, end);
        pending = pending.slice(end + 2);
        this.#answer(socket, line);
      }
    });
  }

  #answer(socket: TLSSocket, line: string): void {
    const idle = this.#idling.get(socket);
    const [tag = '*', first = '', second = ''] = idle && line === 'DONE' ? [idle, 'DONE'] : line.split(' ');
    const command = first.toUpperCase() === 'UID' ? `UID ${second.toUpperCase()}` : first.toUpperCase();
    this.log.push(`${command} ${line}`);
    const hooked = this.options.hook?.(command, line, tag);
    if (hooked === 'drop') {
      socket.destroy();
      return;
    }
    if (hooked === 'hang') return;
    socket.write(hooked ?? this.#proper(socket, command, line, tag), 'latin1');
  }

  #proper(socket: TLSSocket, command: string, line: string, tag: string): string {
    const ok = `${tag} OK done\r\n`;
    switch (command) {
      case 'CAPABILITY':
        return `* CAPABILITY ${this.options.capability ?? 'IMAP4rev1 IDLE UIDPLUS'}\r\n${ok}`;
      case 'LIST':
        return `* LIST () "/" INBOX\r\n${ok}`;
      case 'SELECT':
        return `* FLAGS (\\Deleted)\r\n* ${this.mails.length} EXISTS\r\n* OK [UIDVALIDITY ${this.options.uidValidity ?? 7}] x\r\n* OK [UIDNEXT ${this.#next}] x\r\n${tag} OK [READ-WRITE] done\r\n`;
      case 'NOOP':
        return `* ${this.mails.length} EXISTS\r\n${ok}`;
      case 'IDLE':
        this.#idling.set(socket, tag);
        return `+ idling\r\n* ${this.mails.length} EXISTS\r\n`;
      case 'DONE':
        this.#idling.delete(socket);
        return ok;
      case 'FETCH':
      case 'UID FETCH':
        return `${this.#fetched(command, line).join('')}${ok}`;
      case 'UID EXPUNGE': {
        const uid = Number(line.split(' ')[3]);
        const index = this.mails.findIndex((mail) => mail.uid === uid);
        if (index < 0) return ok;
        this.mails.splice(index, 1);
        return `* ${index + 1} EXPUNGE\r\n${ok}`;
      }
      case 'LOGIN':
      case 'NAMESPACE':
      case 'UID STORE':
        return ok;
      default:
        return `${tag} BAD what?\r\n`;
    }
  }

  /** The untagged answers to a FETCH. */
  #fetched(command: string, line: string): string[] {
    const byUid = command === 'UID FETCH';
    const set = line.split(' ')[byUid ? 3 : 2] ?? '';
    const highest = byUid ? (this.mails.at(-1)?.uid ?? 0) : this.mails.length;
    const ranges = set.split(',').map((part) => {
      const [from = 0, to = from] = part.split(':').map((x) => (x === '*' ? highest : Number(x)));
      return [Math.min(from, to), Math.max(from, to)] as const;
    });
    const [lowest, last] = [
      Math.min(...ranges.map(([low]) => low)),
      Math.max(...ranges.map(([, high]) => high)),
    ];
    const wanted = (n: number) =>
      n >= lowest && n <= last && ranges.some(([low, high]) => n >= low && n <= high);
    return this.mails.flatMap((mail, index) => {
      if (!wanted(byUid ? mail.uid : index + 1)) return [];
      const cut = mail.raw.indexOf('\r\n\r\n') + 4;
      const date = mail.arrivedAt
        .toUTCString()
        .replace(/^\w+, (\d+) (\w+) (\d+) ([\d:]+) GMT$/, '$1-$2-$3 $4 +0000');
      const items = [`UID ${mail.uid}`];
      if (line.includes('RFC822.SIZE')) items.push(`RFC822.SIZE ${mail.size ?? mail.raw.length}`);
      if (line.includes('INTERNALDATE')) items.push(`INTERNALDATE "${date}"`);
      if (line.includes('HEADER.FIELDS'))
        items.push(`BODY[HEADER.FIELDS (X)] ${literal(mail.raw.slice(0, cut))}`);
      if (line.includes('[TEXT]')) items.push(`BODY[TEXT] ${literal(mail.raw.slice(cut))}`);
      return [`* ${index + 1} FETCH (${items.join(' ')})\r\n`];
    });
  }
}

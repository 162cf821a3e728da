import type { Socket } from 'node:net';
import { errorText } from '../errors.js';
import {
  ConnectProblem,
  type ConnectStatus,
  encodeConnectAnswer,
  HTTP_HEAD_BYTES,
  readConnect,
} from '../wire/http-connect.js';
import {
  encodeChoice,
  encodeCredentialsAnswer,
  encodeReply,
  readCredentials,
  readGreeting,
  readRequest,
  SOCKS5_COMMANDS,
  SOCKS5_METHODS,
  type Socks5Address,
  type Socks5Reply,
} from '../wire/socks5.js';
import type { RefusalKind } from '../wire/tunnel-refusal.js';

/** How an attempt ended, in words that both protocols can say. */
export type Outcome = 'succeeded' | 'unsupported' | RefusalKind;

/** What a local program wants, and how it is answered: once; what is not success ends the connection. */
export interface Greeting {
  /** A connection to `to`, or a relay for datagrams to anywhere. */
  readonly wants: 'connection' | 'datagrams';
  readonly to: Socks5Address;
  readonly answer: (outcome: Outcome, detail?: string, bound?: Socks5Address) => void;
  /** What it gave as its password, where that is asked for. */
  readonly password?: string;
}

/** What a proxy takes beyond a bare request. */
export interface GreetingExtras {
  /** No relay for datagrams. */
  readonly connectionsOnly?: boolean;
  /** User and password are taken, whatever they are: the password is for the far side. */
  readonly passwords?: boolean;
  /** Answers a plain GET, given its path; undefined if there is no such page. */
  readonly page?: (path: string) => { readonly type: string; readonly text: string } | undefined;
}

const SOCKS_REPLIES: Readonly<Record<Outcome, Socks5Reply>> = {
  succeeded: 'succeeded',
  unsupported: 'addressUnsupported',
  forbidden: 'forbidden',
  refused: 'refused',
  unreachable: 'networkUnreachable',
  'not-found': 'hostUnreachable',
  timeout: 'expired',
  busy: 'failed',
  failed: 'failed',
};
const HTTP_STATUSES: Readonly<Record<Outcome, ConnectStatus>> = {
  succeeded: 200,
  unsupported: 400,
  forbidden: 403,
  refused: 502,
  unreachable: 502,
  'not-found': 502,
  timeout: 504,
  busy: 503,
  failed: 502,
};

const WANTS: Readonly<Record<number, Greeting['wants']>> = {
  [SOCKS5_COMMANDS.connect]: 'connection',
  [SOCKS5_COMMANDS.associate]: 'datagrams',
};

/** The largest message of SOCKS is 262 octets; a program may send what comes after it at once. */
const WAITING_BYTES = HTTP_HEAD_BYTES + 65_536;
const LEAVE_MS = 1_000;

/**
 * Hears a program out until it is known where it wants to go; what it sent beyond that is left in the socket.
 * Undefined if it was refused or went away; the caller has the clock.
 */
export function greet(socket: Socket, extras: GreetingExtras = {}): Promise<Greeting | undefined> {
  let waiting = Buffer.alloc(0);
  let chosen = false;
  let asked = false;
  let password: string | undefined;
  return new Promise((resolve) => {
    const finish = (greeting: Greeting | undefined) => {
      socket.pause();
      socket.off('data', onData).off('end', onEnd).off('close', onEnd);
      if (waiting.length > 0 && !socket.destroyed) socket.unshift(waiting);
      resolve(greeting);
    };
    const onEnd = () => {
      finish(undefined);
      socket.destroy();
    };
    const refuse = (bytes?: Buffer) => {
      waiting = Buffer.alloc(0);
      finish(undefined);
      end(socket, bytes);
    };
    const socks = () => {
      if (!chosen) {
        const greeting = readGreeting(waiting);
        if (!greeting) return;
        waiting = waiting.subarray(greeting.length);
        asked = extras.passwords === true && greeting.methods.includes(SOCKS5_METHODS.password);
        chosen = asked || greeting.methods.includes(SOCKS5_METHODS.none);
        if (!chosen) return refuse(encodeChoice(SOCKS5_METHODS.unacceptable));
        socket.write(encodeChoice(asked ? SOCKS5_METHODS.password : SOCKS5_METHODS.none));
      }
      if (asked) {
        const credentials = readCredentials(waiting);
        if (!credentials) return;
        waiting = waiting.subarray(credentials.length);
        asked = false;
        password = credentials.password;
        socket.write(encodeCredentialsAnswer(true));
      }
      const request = readRequest(waiting);
      if (!request) return;
      waiting = waiting.subarray(request.length);
      const { command, to } = request;
      const wants = WANTS[command];
      if (!wants || (extras.connectionsOnly && wants !== 'connection')) {
        return refuse(encodeReply('commandUnsupported'));
      }
      if (!to) return refuse(encodeReply('addressUnsupported'));
      const encode: Encode = (outcome, _, bound) => encodeReply(SOCKS_REPLIES[outcome], bound);
      finish({ wants, to, answer: answerer(socket, encode), ...(password !== undefined && { password }) });
    };
    const http = () => {
      const page = pageOf(waiting, extras);
      if (page) return refuse(page);
      const head = readConnect(waiting);
      if (!head) return;
      if (extras.passwords) password = basicPassword(waiting.subarray(0, head.length));
      waiting = waiting.subarray(head.length);
      const encode = (outcome: Outcome, detail?: string) =>
        encodeConnectAnswer(HTTP_STATUSES[outcome], detail && `the far side says: ${detail}`);
      const answer = answerer(socket, encode);
      finish({ wants: 'connection', to: head, answer, ...(password !== undefined && { password }) });
    };
    const onData = (data: Buffer) => {
      waiting = Buffer.concat([waiting, data]);
      try {
        if (waiting.length > WAITING_BYTES) refuse();
        else if (chosen || waiting[0] === 5) socks();
        else http();
      } catch (error) {
        refuse(
          error instanceof ConnectProblem ? encodeConnectAnswer(error.status, errorText(error)) : undefined,
        );
      }
    };
    socket.on('data', onData).once('end', onEnd).once('close', onEnd);
  });
}

/** The answer to a plain GET whose head is complete; undefined for everything else. */
function pageOf(bytes: Buffer, { page }: GreetingExtras): Buffer | undefined {
  const text = page ? bytes.toString('latin1') : '';
  const [, path = ''] = /^GET (\/[\w./-]{0,100})(?:\?\S*)? HTTP\/1\.[01]\r?\n/.exec(text) ?? [];
  if (path === '' || !/\r?\n\r?\n/.test(text)) return undefined;
  const found = page?.(path);
  if (!found) return undefined;
  const length = Buffer.byteLength(found.text);
  const head = `HTTP/1.1 200 OK\r\nContent-Type: ${found.type}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`;
  return Buffer.from(head + found.text);
}

/** The password of `Proxy-Authorization: Basic` (RFC 7617). */
function basicPassword(head: Buffer): string | undefined {
  const [, code] =
    /^proxy-authorization: *basic +([\w+/=]{1,1000}) *\r?$/im.exec(head.toString('latin1')) ?? [];
  return code === undefined ? undefined : /:(.*)$/s.exec(Buffer.from(code, 'base64').toString('utf8'))?.[1];
}

type Encode = (...answer: Parameters<Greeting['answer']>) => Buffer;

function answerer(socket: Socket, encode: Encode): Greeting['answer'] {
  let answered = false;
  return (outcome, detail, bound) => {
    if (answered || socket.destroyed) return;
    answered = true;
    const bytes = encode(outcome, detail, bound);
    if (outcome === 'succeeded') socket.write(bytes);
    else end(socket, bytes);
  };
}

/** Says the last word and hears the program out for a moment: closing on unread bytes would take the word back. */
function end(socket: Socket, bytes?: Buffer): void {
  if (!bytes) {
    socket.destroy();
    return;
  }
  const timer = setTimeout(() => socket.destroy(), LEAVE_MS);
  socket.once('close', () => clearTimeout(timer)).once('end', () => socket.destroySoon());
  socket.resume().end(bytes);
}

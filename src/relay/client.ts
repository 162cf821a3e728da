import { type KeyObject, randomBytes, sign } from 'node:crypto';
import { AwlError } from '../errors.js';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import type { UdpSocket } from '../util/udp.js';
import type { PunchRole } from '../wire/confirm.js';
import {
  decodeRelay,
  encodeRelay,
  RELAY_NONCE_BYTES,
  type RelayMessage,
  type RelayRefusal,
  relaySigned,
} from '../wire/relay.js';
import { RELAY_GAPS_MS, RELAY_REFRESH_MS, RELAY_SILENCE_MS, RELAY_WAIT_MS } from './limits.js';

export interface RelayBinding {
  /** The socket of the session: what comes from the relay afterwards is the peer's. */
  readonly socket: UdpSocket;
  readonly relay: Endpoint;
  readonly session: Buffer;
  readonly role: PunchRole;
  readonly key: KeyObject;
  /** DER SubjectPublicKeyInfo of the own certificate. */
  readonly publicKey: Buffer;
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

const REFUSALS: Readonly<Record<RelayRefusal, readonly [why: string, hint: string]>> = {
  unknown: ['it does not say why', 'look at the log of the hub'],
  'not-allowed': [
    'this identity may not use it',
    'put its certificate into the app repository of the hub (awl id trust), or name its fingerprint there with --relay-allow',
  ],
  full: ['it carries as many sessions as it may', 'try again later, or run another hub'],
  taken: ['somebody else holds this session', 'let both sides start again'],
};

/**
 * Proves who we are to a relay and waits until the peer has done the same; from then on whatever the socket sends to the
 * relay arrives at the peer. Who the peer is, the handshake over this path has still to prove.
 * @throws AwlError RELAY_UNREACHABLE, RELAY_REFUSED; HANDSHAKE_TIMEOUT if the peer does not come; the signal's reason
 */
export async function bindRelay(binding: RelayBinding): Promise<void> {
  const { socket, relay, signal } = binding;
  signal?.throwIfAborted();
  const dialogue = new Dialogue(binding);
  const unsubscribe = socket.subscribe((data, from) => {
    const message = sameEndpoint(plain(from), relay) ? decodeRelay(data) : undefined;
    if (message) dialogue.take(message);
  });
  const onAbort = () => dialogue.end(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    dialogue.send();
    await dialogue.done;
  } finally {
    dialogue.stop();
    unsubscribe();
    signal?.removeEventListener('abort', onAbort);
  }
}

/** A v6 socket shows IPv4 sources in their mapped form. */
function plain({ address, port }: Endpoint): Endpoint {
  return { address: address.replace(/^::ffff:(?=\d+\.)/i, ''), port };
}

class Dialogue {
  readonly done: Promise<void>;
  readonly #binding: RelayBinding;
  readonly #nonce = randomBytes(RELAY_NONCE_BYTES);
  #request: Buffer;
  #state: 'asking' | 'binding' | 'waiting' | 'over' = 'asking';
  #sent = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #limit: NodeJS.Timeout;
  #silence: NodeJS.Timeout | undefined;
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(binding: RelayBinding) {
    this.#binding = binding;
    this.#request = encodeRelay({ type: 'ask', nonce: this.#nonce });
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.done.catch(() => {});
    this.#limit = setTimeout(() => this.end(this.#tooLate()), binding.waitMs ?? RELAY_WAIT_MS);
    this.#listen();
  }

  /** Sends the request of the moment, and again until it is answered. */
  send(): void {
    const { socket, relay } = this.#binding;
    if (this.#state === 'over') return;
    void socket.send(this.#request, relay);
    const gap = RELAY_GAPS_MS[Math.min(this.#sent++, RELAY_GAPS_MS.length - 1)] ?? RELAY_REFRESH_MS;
    this.#timer = setTimeout(() => this.send(), this.#state === 'waiting' ? RELAY_REFRESH_MS : gap);
  }

  take(message: RelayMessage): void {
    if (!message.nonce.equals(this.#nonce) || this.#state === 'over') return;
    if (message.type === 'challenge' && this.#state === 'asking') this.#claim(message.cookie);
    else if (message.type === 'refused' && this.#state !== 'asking') this.end(this.#refused(message.reason));
    else if (message.type === 'bound' && this.#state !== 'asking') {
      if (message.ready) this.end();
      else this.#wait();
    }
  }

  end(error?: unknown): void {
    this.stop();
    if (error === undefined) this.#resolve();
    else this.#reject(error);
  }

  stop(): void {
    this.#state = 'over';
    for (const timer of [this.#timer, this.#limit, this.#silence]) clearTimeout(timer);
  }

  #listen(): void {
    clearTimeout(this.#silence);
    const ms = this.#state === 'waiting' ? 3 * RELAY_REFRESH_MS : RELAY_SILENCE_MS;
    this.#silence = setTimeout(() => this.end(this.#silent()), ms);
  }

  #claim(cookie: Buffer): void {
    const { relay, session, role, key, publicKey } = this.#binding;
    const claim = { cookie, session, role };
    const signature = sign('sha256', relaySigned(relay, this.#nonce, claim), key);
    this.#request = encodeRelay({ type: 'bind', nonce: this.#nonce, ...claim, key: publicKey, signature });
    this.#state = 'binding';
    this.#listen();
    this.#sent = 0;
    clearTimeout(this.#timer);
    this.send();
  }

  #wait(): void {
    const first = this.#state !== 'waiting';
    this.#state = 'waiting';
    this.#listen();
    if (!first) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.send(), RELAY_REFRESH_MS);
  }

  #refused(reason: RelayRefusal): AwlError {
    const [why, hint] = REFUSALS[reason];
    return new AwlError('RELAY_REFUSED', `the relay ${formatEndpoint(this.#binding.relay)} refuses: ${why}`, {
      hint,
    });
  }

  #silent(): AwlError {
    const at = formatEndpoint(this.#binding.relay);
    return new AwlError('RELAY_UNREACHABLE', `no relay answers at ${at}`, {
      hint: 'is awl hub --relay running there, by the address that --relay-server names, and may UDP leave this network?',
    });
  }

  #tooLate(): AwlError {
    const { relay, waitMs = RELAY_WAIT_MS } = this.#binding;
    const seconds = Math.round(waitMs / 1000);
    return new AwlError(
      'HANDSHAKE_TIMEOUT',
      `the peer did not come to the relay ${formatEndpoint(relay)} within ${seconds} s`,
      { hint: 'the peer may not be allowed there, or cannot reach it: its log says which' },
    );
  }
}

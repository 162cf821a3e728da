import {
  type DhtAddress,
  type DhtKeyPair,
  type DhtLibrary,
  type DhtNode,
  type DhtServer,
  requireModule,
} from './library.js';

/** The version whose inside this file knows. */
const VERSION = '6.34.0';

/** What `lib/noise-wrap` wraps: Noise IK over Ed25519 keys, one message each way. */
interface NoiseHandshake {
  send(payload: Buffer): Buffer;
  recv(message: Buffer): Buffer;
  /** Key of the other side; at the acceptor once the first message was read. */
  readonly rs?: Uint8Array | null;
}

interface NoiseWrap {
  readonly handshake: NoiseHandshake;
}

type NoiseWrapClass = new (keyPair: DhtKeyPair, remotePublicKey: Buffer | null) => NoiseWrap;

interface RoutedHandshake {
  readonly noise: Buffer | null;
  readonly peerAddress: DhtAddress | null;
}

interface RoutedRequest {
  readonly from: DhtAddress;
  readonly target: Buffer | null;
}

interface Session {
  destroy(): void;
}

interface Router {
  get(target: Buffer): { readonly onpeerhandshake?: unknown } | undefined | null;
  onpeerhandshake(request: RoutedRequest): Promise<void>;
  onpeerholepunch(request: RoutedRequest): Promise<void>;
  peerHandshake(
    target: Buffer,
    message: { noise: Buffer; peerAddress: null; relayAddress: null; socket: null; session: Session },
    relay: DhtAddress,
  ): Promise<{ readonly noise: Buffer }>;
}

interface InsideNode {
  readonly _router: Router;
  session(): Session;
}

interface InsideServer {
  _onpeerhandshake(
    message: RoutedHandshake,
    request: RoutedRequest,
  ): Promise<{ socket: null; noise: Buffer } | null>;
  _onpeerholepunch(): Promise<null>;
  _localAddresses(): Promise<readonly DhtAddress[]>;
}

/** Who knocks: the key it proved to have, and its address as the relay told it (a hint). */
export interface Knocker {
  readonly key: Buffer;
  readonly address: DhtAddress;
}

/** What a server does with knocks. */
export interface Doorkeeper {
  /** Asked first, before anything is computed or kept: false drops the message. */
  admit(address: DhtAddress): boolean;
  /** The reply, or undefined for silence. Must not throw. */
  receive(payload: Buffer, knocker: Knocker): Promise<Buffer | undefined>;
}

/**
 * Payloads inside the Noise handshake that nodes of the DHT relay to an announced key: one round trip, no stream, no
 * hole punch. HyperDHT has no public interface for that.
 */
export interface Carrier {
  /** Takes over what arrives at `server`, before it listens with `keyPair`. */
  serve(server: DhtServer, keyPair: DhtKeyPair, keeper: Doorkeeper): void;
  /** The node answers for its own servers only; it relays for nobody. */
  restrict(node: DhtNode): void;
  /**
   * Sends `payload` to the holder of `to` through `relay`; yields the reply. Repeats it each second, four times.
   * @throws Error when nothing comes back, or nothing that the holder of `to` made; the signal's reason
   */
  ask(
    node: DhtNode,
    to: { readonly publicKey: Buffer; readonly relay: DhtAddress },
    from: DhtKeyPair,
    payload: Buffer,
    signal: AbortSignal,
  ): Promise<Buffer>;
}

/**
 * Opens the private side of the library, if its inside is as this file knows it: the version, the functions, and
 * one handshake made in memory. Otherwise says what differs.
 */
export function openCarrier(
  library: DhtLibrary,
  load: (id: string) => unknown = requireModule,
): Carrier | { readonly differs: string } {
  try {
    const { version } = load('hyperdht/package.json') as { version?: unknown };
    if (version !== VERSION) return { differs: `its version is ${String(version)}, not ${VERSION}` };
    const Wrap = load('hyperdht/lib/noise-wrap') as NoiseWrapClass;
    const missing = missingFunction(load);
    if (missing) return { differs: `there is no ${missing}` };
    if (!shakesHands(library, Wrap)) return { differs: 'its handshake carries no payload of ours' };
    return makeCarrier(library, Wrap);
  } catch (error) {
    return { differs: error instanceof Error ? error.message : String(error) };
  }
}

function missingFunction(load: (id: string) => unknown): string | undefined {
  const expected: Record<string, readonly string[]> = {
    'hyperdht/lib/router': ['get', 'onpeerhandshake', 'onpeerholepunch', 'peerHandshake'],
    'hyperdht/lib/server': ['listen', 'refresh', '_onpeerhandshake', '_onpeerholepunch', '_localAddresses'],
  };
  for (const [module, names] of Object.entries(expected)) {
    const { prototype } = load(module) as { prototype: Readonly<Record<string, unknown>> };
    const name = names.find((one) => typeof prototype[one] !== 'function');
    if (name) return `${module} ${name}`;
  }
  return undefined;
}

function shakesHands(library: DhtLibrary, Wrap: NoiseWrapClass): boolean {
  const [server, client] = [library.keyPair(), library.keyPair()];
  const asking = new Wrap(client, server.publicKey).handshake;
  const answering = new Wrap(server, null).handshake;
  const question = answering.recv(asking.send(Buffer.from('question')));
  const answer = asking.recv(answering.send(Buffer.from('answer')));
  return (
    Buffer.from(question).toString() === 'question' &&
    Buffer.from(answer).toString() === 'answer' &&
    client.publicKey.equals(answering.rs ?? Buffer.alloc(0))
  );
}

function makeCarrier(library: DhtLibrary, Wrap: NoiseWrapClass): Carrier {
  return {
    serve(server, keyPair, keeper) {
      const inside = server as unknown as InsideServer;
      inside._localAddresses = async () => [];
      inside._onpeerholepunch = async () => null;
      inside._onpeerhandshake = async ({ noise, peerAddress }, request) => {
        const address = peerAddress ?? request.from;
        if (!noise || !keeper.admit(address)) return null;
        const { handshake } = new Wrap(keyPair, null);
        let payload: Buffer;
        try {
          payload = Buffer.from(handshake.recv(noise));
        } catch {
          return null;
        }
        const reply = await keeper.receive(payload, { key: Buffer.from(handshake.rs ?? []), address });
        return reply ? { socket: null, noise: handshake.send(reply) } : null;
      };
    },

    restrict(node) {
      const router = (node as unknown as InsideNode)._router;
      const original = router.onpeerhandshake.bind(router);
      router.onpeerhandshake = async (request) => {
        if (request.target && router.get(request.target)?.onpeerhandshake) await original(request);
      };
      router.onpeerholepunch = async () => {};
    },

    async ask(node, { publicKey, relay }, from, payload, signal) {
      signal.throwIfAborted();
      const inside = node as unknown as InsideNode;
      const { handshake } = new Wrap(from, publicKey);
      const noise = handshake.send(payload);
      const session = inside.session();
      const stop = () => session.destroy();
      signal.addEventListener('abort', stop, { once: true });
      try {
        const reply = await inside._router.peerHandshake(
          library.hash(publicKey),
          { noise, peerAddress: null, relayAddress: null, socket: null, session },
          relay,
        );
        return Buffer.from(handshake.recv(reply.noise));
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
  };
}

/** For code that runs only where the carrier is known to be open. */
export function isCarrier(opened: Carrier | { readonly differs: string }): opened is Carrier {
  return !('differs' in opened);
}

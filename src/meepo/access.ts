import { createHash, scrypt, timingSafeEqual } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import { AwlError } from '../errors.js';
import { redact } from '../log.js';
import { type Acl, judge, parseAcl } from '../wire/acl.js';

const deriveKey = promisify<string, Buffer, number, Buffer>(scrypt);

/** `auth` and `acl` of the configuration. */
export interface AccessSettings {
  readonly secret?: string;
  readonly allows?: readonly string[];
  readonly blocks?: readonly string[];
}

/** Where one end of a teleportation claims to be, or really leads. */
export interface Place {
  readonly network: string;
  readonly host: string;
  readonly port: number;
}

const LOOPBACK = ['127.0.0.1:*'];
const PROOF = 'awl2:';
const BCRYPT_COST = 10;
const HASH_MAX_CHARS = 256;
/** A bcrypt of cost 12 takes a quarter second of our time. */
const COST_MAX = 12;

/** What ties the proof of a secret to one request: both names, the key of the offer, the sink's nonce, and what is asked for. */
export interface Challenge {
  readonly source: string;
  readonly sink: string;
  readonly key: Buffer;
  /** Random bytes of the sink, good for one request. */
  readonly nonce: Buffer;
  readonly name: string;
  readonly remote: string;
}

/**
 * What another awl gets instead of the secret: an answer to its challenge, `awl2:` and base64 of scrypt (N 16384, r 8, p 1,
 * 32 bytes). It opens this one request at this one node and is worth nothing anywhere else, nor a second time.
 */
export async function proveSecret(secret: string, challenge: Challenge): Promise<string> {
  const { source, sink, key, nonce, name, remote } = challenge;
  const texts = JSON.stringify(['awl meepo secret v2', source, sink, name, remote]);
  const salt = createHash('sha256').update(key).update(nonce).update(texts).digest();
  return `${PROOF}${(await deriveKey(secret, salt, 32)).toString('base64')}`;
}

/** The form in which a real Meepo takes a secret; whoever gets it can use it elsewhere, so real ones only. */
export async function bcryptSecret(secret: string): Promise<string> {
  const { default: bcrypt } = await import('bcryptjs');
  return Buffer.from(await bcrypt.hash(secret, BCRYPT_COST)).toString('base64');
}

/** Who may reach what on this node. */
export class Access {
  readonly #acl: Acl;
  readonly #secret: string | undefined;
  readonly #rules: AccessSettings;
  #checking: Promise<void> = Promise.resolve();

  /** @throws AwlError CONFIG_SYNTAX naming the rule that is none */
  constructor(settings: AccessSettings) {
    this.#rules = settings;
    this.#secret = settings.secret;
    if (settings.secret !== undefined) redact(settings.secret);
    const { allows = [], blocks = [] } = settings;
    const closed = allows.length === 0 && blocks.length === 0 && settings.secret === undefined;
    for (const rule of [...allows, ...blocks]) checked(rule);
    this.#acl = parseAcl({ allows: closed ? LOOPBACK : allows, blocks }, 'meepo');
  }

  /** One line for people: who may reach what. */
  get summary(): string {
    const { allows = [], blocks = [] } = this.#rules;
    const who = this.#secret === undefined ? 'everybody who knows our id' : 'everybody who knows the secret';
    if (allows.length === 0 && blocks.length === 0) {
      const what =
        this.#secret === undefined ? 'loopback destinations only (no auth, no acl)' : 'every destination';
      return `${who} may reach ${what}`;
    }
    const except = blocks.length === 0 ? '' : ` except ${blocks.join(' ')}`;
    return `${who} may reach ${allows.length === 0 ? 'every destination' : allows.join(' ')}${except}`;
  }

  /**
   * @param challenge what we asked this peer; undefined if it did not want to be asked, as a real Meepo
   * @throws AwlError MEEPO_REFUSED in Meepo's words
   */
  async checkSecret(hashed: string, challenge: Challenge | undefined): Promise<void> {
    const secret = this.#secret;
    if (secret === undefined) return;
    if (hashed === '') throw unauthorized('require secret');
    if (hashed.length > HASH_MAX_CHARS) throw unauthorized('invalid hashed secret');
    // One after the other: each takes tens of milliseconds and 16 MB, and whoever guesses waits for his turn.
    const turn = this.#checking.then(() => check(secret, hashed, challenge));
    this.#checking = turn.catch(() => {});
    return turn;
  }

  /** @throws AwlError MEEPO_REFUSED in Meepo's words */
  checkDestination(peer: string, source: Place, own: string, destination: Place): void {
    const verdict = judge(
      this.#acl,
      { id: peer, ...source },
      { id: own, ...destination },
      { own: ownAddresses() },
    );
    if (verdict !== 'allowed') throw new AwlError('MEEPO_REFUSED', 'acl: not allowed');
  }
}

function unauthorized(why: string): AwlError {
  return new AwlError('MEEPO_REFUSED', `unauthorized: ${why}`);
}

async function check(secret: string, hashed: string, challenge: Challenge | undefined): Promise<void> {
  if (hashed.startsWith(PROOF)) {
    const expected = challenge && Buffer.from(await proveSecret(secret, challenge));
    const given = Buffer.from(hashed);
    if (expected?.length === given.length && timingSafeEqual(expected, given)) return;
    throw unauthorized('incorrect password');
  }
  const text = Buffer.from(hashed, 'base64').toString('latin1');
  const cost = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text)?.[1];
  if (cost === undefined || Number(cost) > COST_MAX) throw unauthorized('invalid hashed secret');
  const { default: bcrypt } = await import('bcryptjs');
  if (!(await bcrypt.compare(secret, text))) throw unauthorized('incorrect password');
}

function checked(rule: string): void {
  try {
    parseAcl({ allows: [rule] }, 'meepo');
  } catch (cause) {
    throw new AwlError('CONFIG_SYNTAX', `invalid acl policy string ${JSON.stringify(rule.slice(0, 80))}`, {
      hint: 'a rule is [SOURCE,]DESTINATION; each is *, HOST:PORT, NETWORK:HOST:PORT or ID:NETWORK:HOST:PORT',
      cause,
    });
  }
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
}

import { scrypt, timingSafeEqual } from 'node:crypto';
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
const BOUND = 'awl1:';
const BCRYPT_COST = 10;
const HASH_MAX_CHARS = 256;
/** A bcrypt of cost 12 takes a quarter second of our time. */
const COST_MAX = 12;

/** What ties a secret to one transport, so that it opens no other: both names and the key of the offer. */
export interface Binding {
  readonly source: string;
  readonly sink: string;
  readonly key: Buffer;
}

/** The form in which a secret goes to another awl: worth nothing on any other transport. */
export async function bindSecret(secret: string, { source, sink, key }: Binding): Promise<string> {
  const salt = Buffer.concat([Buffer.from(`awl meepo secret v1|${source}|${sink}|`), key]);
  return `${BOUND}${(await deriveKey(secret, salt, 32)).toString('base64')}`;
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

  /** @throws AwlError MEEPO_REFUSED in Meepo's words */
  async checkSecret(hashed: string, binding: Binding | undefined): Promise<void> {
    if (this.#secret === undefined) return;
    const refuse = (why: string) => new AwlError('MEEPO_REFUSED', `unauthorized: ${why}`);
    if (hashed === '') throw refuse('require secret');
    if (hashed.length > HASH_MAX_CHARS) throw refuse('invalid hashed secret');
    if (hashed.startsWith(BOUND)) {
      const expected = binding && Buffer.from(await bindSecret(this.#secret, binding));
      const given = Buffer.from(hashed);
      if (expected?.length === given.length && timingSafeEqual(expected, given)) return;
      throw refuse('incorrect password');
    }
    const text = Buffer.from(hashed, 'base64').toString('latin1');
    const cost = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text)?.[1];
    if (cost === undefined || Number(cost) > COST_MAX) throw refuse('invalid hashed secret');
    const { default: bcrypt } = await import('bcryptjs');
    if (!(await bcrypt.compare(this.#secret, text))) throw refuse('incorrect password');
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

import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Outgoing, RelayDesk } from '../../../src/relay/desk.js';
import {
  RELAY_COOKIE_MS,
  RELAY_IDLE_MS,
  RELAY_RATE,
  RELAY_SESSIONS_PER_KEY,
  RELAY_WAIT_MS,
} from '../../../src/relay/limits.js';
import type { Endpoint } from '../../../src/util/endpoint.js';
import { decodeRelay, encodeRelay, relaySigned } from '../../../src/wire/relay.js';

const RELAY: Endpoint = { address: '192.0.2.10', port: 3480 };

class Client {
  readonly key: KeyObject;
  readonly spki: Buffer;
  readonly fingerprint: string;
  nonce = randomBytes(16);

  constructor(pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })) {
    this.key = pair.privateKey;
    this.spki = createPublicKey(pair.privateKey).export({ type: 'spki', format: 'der' });
    this.fingerprint = createHash('sha256').update(this.spki).digest('hex');
  }

  ask(): Buffer {
    return encodeRelay({ type: 'ask', nonce: this.nonce });
  }

  bind(cookie: Buffer, session: Buffer, role: 'invite' | 'accept', relay = RELAY): Buffer {
    const claim = { cookie, session, role };
    const signature = sign('sha256', relaySigned(relay, this.nonce, claim), this.key);
    return encodeRelay({ type: 'bind', nonce: this.nonce, ...claim, key: this.spki, signature });
  }
}

const [alice, bob, carol] = [new Client(), new Client(), new Client()];
const at = (host: number, port = 40_000): Endpoint => ({ address: `198.51.100.${host}`, port });

function desk(): RelayDesk {
  const allows = (print: string) => print === alice.fingerprint || print === bob.fingerprint;
  return new RelayDesk({ names: [RELAY], secret: Buffer.alloc(32, 7), allows }, 0);
}

function cookieOf(relay: RelayDesk, client: Client, from: Endpoint, now: number): Buffer {
  const [out] = relay.receive(client.ask(), from, now);
  const message = out && decodeRelay(out.data);
  if (message?.type !== 'challenge') throw new Error('no challenge');
  return message.cookie;
}

const said = (outs: Outgoing[]) =>
  outs.map(({ data, to }) => {
    const message = decodeRelay(data);
    const what =
      message?.type === 'bound'
        ? `bound ${message.ready}`
        : message?.type === 'refused'
          ? message.reason
          : '';
    return `${to.address}:${to.port} ${what}`;
  });

interface Joining {
  readonly from: Endpoint;
  readonly session: Buffer;
  readonly role: 'invite' | 'accept';
  readonly now?: number;
}

function join(relay: RelayDesk, client: Client, { from, session, role, now = 0 }: Joining): string[] {
  return said(relay.receive(client.bind(cookieOf(relay, client, from, now), session, role), from, now));
}

function pair(): { relay: RelayDesk; session: Buffer } {
  const [relay, session] = [desk(), randomBytes(16)];
  join(relay, alice, { from: at(1), session, role: 'invite' });
  join(relay, bob, { from: at(2), session, role: 'accept' });
  return { relay, session };
}

describe('who gets in', () => {
  test('two of the allow list that know the same session are brought together, and their datagrams arrive', () => {
    const [relay, session] = [desk(), randomBytes(16)];
    expect(join(relay, alice, { from: at(1), session, role: 'invite' })).toEqual([
      '198.51.100.1:40000 bound false',
    ]);
    expect(join(relay, bob, { from: at(2), session, role: 'accept' })).toEqual([
      '198.51.100.2:40000 bound true',
      '198.51.100.1:40000 bound true',
    ]);
    const data = Buffer.from('a payload');
    expect(relay.receive(data, at(1), 1)).toEqual([{ data, to: at(2) }]);
    expect(relay.receive(data, at(2), 1)).toEqual([{ data, to: at(1) }]);
    expect(relay.stats).toMatchObject({ sessions: 1, forwarded: 2, bytes: 18, dropped: 0 });
  });

  test('a stranger, a forged signature and one made for another relay are refused with one and the same word', () => {
    const [relay, session] = [desk(), randomBytes(16)];
    expect(join(relay, carol, { from: at(3), session, role: 'invite' })).toEqual([
      '198.51.100.3:40000 not-allowed',
    ]);
    const cookie = cookieOf(relay, alice, at(3), 0);
    const elsewhere = alice.bind(cookie, session, 'invite', { ...RELAY, port: 3481 });
    expect(said(relay.receive(elsewhere, at(3), 0))).toEqual(['198.51.100.3:40000 not-allowed']);
    const forged = Buffer.from(alice.bind(cookie, session, 'invite'));
    forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1);
    expect(said(relay.receive(forged, at(3), 0))).toEqual(['198.51.100.3:40000 not-allowed']);
    expect(relay.stats).toMatchObject({ sessions: 0, waiting: 0, refused: 3 });
  });

  test('a recorded claim opens nothing from another address, nor later', () => {
    const [relay, session] = [desk(), randomBytes(16)];
    const claim = alice.bind(cookieOf(relay, alice, at(1), 0), session, 'invite');
    expect(relay.receive(claim, at(9), 1)).toEqual([]);
    expect(relay.receive(claim, at(1), RELAY_COOKIE_MS + 1001)).toEqual([]);
    expect(said(relay.receive(claim, at(1), RELAY_COOKIE_MS))).toEqual(['198.51.100.1:40000 bound false']);
  });

  test('a third one cannot take a place in a session, though it may use the relay and knows the session', () => {
    const { relay, session } = pair();
    expect(join(relay, bob, { from: at(5), session, role: 'invite' })).toEqual(['198.51.100.5:40000 taken']);
    expect(relay.receive(Buffer.from('x'), at(5), 0)).toEqual([]);
  });

  test('the same side from another port takes its place over, and the old port is nobody’s', () => {
    const { relay, session } = pair();
    expect(join(relay, alice, { from: at(1, 50_000), session, role: 'invite' })).toContain(
      '198.51.100.1:50000 bound true',
    );
    const data = Buffer.from('x');
    expect(relay.receive(data, at(2), 1)).toEqual([{ data, to: at(1, 50_000) }]);
    expect(relay.receive(data, at(1), 1)).toEqual([]);
  });

  test('a repeated claim is answered again with how it stands, and changes nothing', () => {
    const [relay, session] = [desk(), randomBytes(16)];
    const claim = alice.bind(cookieOf(relay, alice, at(1), 0), session, 'invite');
    relay.receive(claim, at(1), 0);
    join(relay, bob, { from: at(2), session, role: 'accept', now: 60_000 });
    expect(said(relay.receive(claim, at(1), 60_000))).toEqual(['198.51.100.1:40000 bound true']);
    expect(relay.stats.sessions).toBe(1);
  });
});

describe('what it holds and sends', () => {
  test('an address that proved nothing gets less than it sent, and nothing is kept of it', () => {
    const relay = desk();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1500 }), fc.integer({ min: 1, max: 65_535 }), (noise, port) => {
        expect(relay.receive(noise, at(7, port), 0)).toEqual([]);
      }),
    );
    const answers = Array.from({ length: 1000 }, () => relay.receive(alice.ask(), at(7), 0)).flat();
    expect(answers.length).toBeLessThanOrEqual(20);
    expect(answers.every(({ data }) => data.length < alice.ask().length)).toBe(true);
    expect(relay.stats).toMatchObject({ sessions: 0, waiting: 0 });
  });

  test('whatever is sent in whatever order, datagrams go only to addresses that proved themselves', () => {
    const step = fc.record({
      host: fc.integer({ min: 1, max: 4 }),
      act: fc.constantFrom('ask', 'bind', 'data', 'wait'),
      who: fc.constantFrom(alice, bob, carol),
      session: fc.constantFrom(Buffer.alloc(16, 1), Buffer.alloc(16, 2)),
      role: fc.constantFrom('invite' as const, 'accept' as const),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const relay = desk();
        const proved = new Set<string>();
        let now = 0;
        for (const { host, act, who, session, role } of steps) {
          const from = at(host);
          now += act === 'wait' ? 100_000 : 10;
          if (act === 'wait') relay.tick(now);
          if (act === 'bind') {
            const [challenge] = relay.receive(who.ask(), from, now);
            const message = challenge && decodeRelay(challenge.data);
            if (message?.type !== 'challenge') continue;
            const outs = relay.receive(who.bind(message.cookie, session, role), from, now);
            if (said(outs).some((one) => one.startsWith(from.address) && one.includes('bound')))
              proved.add(from.address);
          }
          if (act !== 'data') continue;
          for (const { to } of relay.receive(Buffer.from('data'), from, now)) {
            expect(proved.has(to.address) && proved.has(from.address)).toBe(true);
            expect(to.address).not.toBe(from.address);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test('one waits 90 s for the other, and both are forgotten 3 minutes after the last datagram', () => {
    const [relay, session] = [desk(), randomBytes(16)];
    join(relay, alice, { from: at(1), session, role: 'invite' });
    relay.tick(RELAY_WAIT_MS);
    expect(relay.stats.waiting).toBe(1);
    relay.tick(RELAY_WAIT_MS + 1);
    expect(relay.stats.waiting).toBe(0);
    const other = pair().relay;
    other.receive(Buffer.from('x'), at(1), 1000);
    other.tick(RELAY_IDLE_MS + 1000);
    expect(other.stats.sessions).toBe(1);
    other.tick(RELAY_IDLE_MS + 1001);
    expect(other.stats.sessions).toBe(0);
    expect(other.receive(Buffer.from('x'), at(1), RELAY_IDLE_MS + 1002)).toEqual([]);
  });

  test('an identity has so many sessions and no more; a port that binds anew gives its old one back', () => {
    const relay = desk();
    const bind = (port: number) =>
      join(relay, alice, {
        from: at(1, port),
        session: randomBytes(16),
        role: 'invite',
        now: port * 1000,
      })[0];
    for (let n = 0; n < RELAY_SESSIONS_PER_KEY; n++) expect(bind(2000 + n)).toContain('bound false');
    expect(bind(3000)).toContain('full');
    expect(bind(2000)).toContain('bound false');
    expect(relay.stats.waiting).toBe(RELAY_SESSIONS_PER_KEY);
  });

  test('a flood over one session is cut to its rate, and what no frame holds is dropped', () => {
    const { relay } = pair();
    const data = Buffer.alloc(1400);
    const count = Math.ceil((2 * RELAY_RATE.burst) / data.length);
    for (let n = 0; n < count; n++) relay.receive(data, at(1), 1);
    expect(relay.stats.bytes).toBeLessThanOrEqual(RELAY_RATE.burst);
    expect(relay.stats.dropped).toBe(count - relay.stats.forwarded);
    expect(relay.receive(data, at(2), 1001)).toHaveLength(1);
    expect(relay.receive(Buffer.alloc(4000), at(2), 5000)).toEqual([]);
  });
});

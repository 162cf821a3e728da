import { expect, test } from 'vitest';
import { Conversation, type Handler } from '../../../src/meepo/conversation.js';
import { meepoKeys } from '../../../src/wire/meepo/keys.js';
import {
  bodyField,
  decodePacket,
  encodeBody,
  encodePacket,
  signPacket,
} from '../../../src/wire/meepo/packet.js';

const [alice, bob, eve] = [meepoKeys(), meepoKeys(), meepoKeys()];

/** Alice's and bob's ends, with everything that was sent on record. */
function pair(handlers: Readonly<Record<string, Handler>>) {
  const sent: Buffer[] = [];
  const ends: { a?: Conversation; b?: Conversation } = {};
  const b = new Conversation({
    keys: bob,
    peer: alice.id,
    handlers,
    send: async (bytes) => {
      sent.push(bytes);
      setImmediate(() => ends.a?.receive(bytes));
    },
  });
  const a = new Conversation({
    keys: alice,
    peer: bob.id,
    handlers: {},
    send: async (bytes) => {
      sent.push(bytes);
      setImmediate(() => b.receive(bytes));
    },
  });
  ends.a = a;
  return { a, b, sent };
}

const echo: Handler = async (body) => encodeBody({ Payload: bodyField(body, 'Payload') });
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

test('a request is answered; an error comes back in the peer’s words', async () => {
  const { a } = pair({
    ping: echo,
    bad: async () => {
      throw new Error('acl: not allowed');
    },
  });
  expect(bodyField(await a.request('ping', encodeBody({ Payload: 'x' })), 'Payload')).toBe('x');
  await expect(a.request('bad', Buffer.alloc(0))).rejects.toThrow('acl: not allowed');
  await expect(a.request('toString', Buffer.alloc(0))).rejects.toThrow('unsupported method');
});

test('a packet that came before, is another’s, or for somebody else, does nothing', async () => {
  let runs = 0;
  const { a, b, sent } = pair({
    ping: async (body) => {
      runs += 1;
      return echo(body);
    },
  });
  await a.request('ping', encodeBody({ Payload: '' }));
  const first = sent[0]!;
  b.receive(first);
  const packet = decodePacket(first);
  const { header, data } = packet;
  b.receive(encodePacket(signPacket(eve, { header: { ...header, source: eve.id, session: 7 }, data })));
  b.receive(
    encodePacket(signPacket(alice, { header: { ...header, destination: eve.id, session: 8 }, data })),
  );
  b.receive(encodePacket({ ...packet, header: { ...header, session: 9 } }));
  b.receive(Buffer.from('garbage'));
  await settled();
  expect(runs).toBe(1);
  expect(b.strays).toBe(5);
});

test('an answer of somebody else is none, and the end of the path ends what waits', async () => {
  const { a } = pair({ never: () => new Promise(() => {}) });
  const waiting = a.request('never', Buffer.alloc(0));
  const header = {
    type: 'response',
    method: 'never',
    session: 1,
    source: eve.id,
    destination: alice.id,
  } as const;
  a.receive(encodePacket(signPacket(eve, { header, data: Buffer.alloc(0) })));
  expect(a.strays).toBe(1);
  a.close();
  await expect(waiting).rejects.toMatchObject({ code: 'MEEPO_UNAVAILABLE' });
  await expect(a.request('ping', Buffer.alloc(0))).rejects.toMatchObject({ code: 'MEEPO_UNAVAILABLE' });
});

test('a flood of requests is bounded', async () => {
  let working = 0;
  const { b } = pair({
    slow: () => {
      working += 1;
      return new Promise(() => {});
    },
  });
  for (let session = 1; session <= 500; session++) {
    const header = {
      type: 'request',
      method: 'slow',
      session,
      source: alice.id,
      destination: bob.id,
    } as const;
    b.receive(encodePacket(signPacket(alice, { header, data: Buffer.alloc(0) })));
  }
  await settled();
  expect(working).toBe(64);
});

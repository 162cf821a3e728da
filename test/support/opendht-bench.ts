import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { formatName, type IdentityName, type PartialName } from '../../src/identity/names.js';
import { silentLogger } from '../../src/log.js';
import { DhtNode } from '../../src/rendezvous/opendht/node.js';
import { openRendezvous } from '../../src/rendezvous/registry.js';
import type { Envelope, Letter, Rendezvous, RendezvousContext } from '../../src/rendezvous/types.js';
import { encodeMsgpack, Packed } from '../../src/wire/msgpack.js';
import { decodeDat, letterKey, signDat } from '../../src/wire/opendht-value.js';
import { BOB, type ContractBench } from './backend-contract.js';
import { DhtLab } from './dhtnodes.js';

/** Keys by name, made when first asked for. */
export class KeyRing {
  readonly #keys = new Map<string, { readonly info: Buffer; readonly key: KeyObject }>();

  of(name: IdentityName): { readonly info: Buffer; readonly key: KeyObject } {
    const text = formatName(name);
    let entry = this.#keys.get(text);
    if (!entry) {
      const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      entry = { info: publicKey.export({ type: 'spki', format: 'der' }), key: privateKey };
      this.#keys.set(text, entry);
    }
    return entry;
  }

  nameOf(info: Uint8Array | undefined): IdentityName | undefined {
    for (const [text, entry] of this.#keys) {
      const [owner = '', pin = ''] = text.split('/');
      if (info && entry.info.equals(info)) return { owner, pin };
    }
    return undefined;
  }
}

function complete(name: PartialName): IdentityName | undefined {
  return name.owner !== undefined && name.pin !== undefined
    ? { owner: name.owner, pin: name.pin }
    : undefined;
}

/** A backend that takes the contract's letters: their bytes become the data of a signed value, names become keys. */
function adapt(inner: Rendezvous, ring: KeyRing, onPush: (letter: Letter) => void): Rendezvous {
  return {
    name: inner.name,
    sealing: inner.sealing,
    prepare: (signal) => inner.prepare(signal),
    close: () => inner.close(),
    async push(letter, signal) {
      const { info, key } = ring.of(letter.from);
      const { dat } = signDat({ owner: info, data: Buffer.from(letter.bytes) }, key);
      const sent: Letter = { ...letter, form: 'opendht', bytes: dat, toKey: ring.of(letter.to).info };
      await inner.push(sent, signal);
      onPush(sent);
    },
    async *listen(filter, signal) {
      const to = complete(filter.to) ?? BOB;
      const from = complete(filter.from);
      const keyed = { ...filter, to, toKey: ring.of(to).info, ...(from && { fromKey: ring.of(from).info }) };
      for await (const envelope of inner.listen(keyed, signal)) {
        const { from: named = ring.nameOf(envelope.fromKey), ...rest } = envelope;
        const bytes = decodeDat(Buffer.from(envelope.bytes)).data;
        const shown: Envelope = { ...rest, ...(named && { from: named }), form: 'smime', bytes };
        yield shown;
      }
    },
  };
}

/** Puts any value under a key, at every node of the lab. */
export async function putRaw(
  node: DhtNode,
  lab: DhtLab,
  key: Buffer,
  value: { readonly id: bigint; readonly dat: Uint8Array },
): Promise<void> {
  const packed = encodeMsgpack({ id: value.id, dat: new Packed(value.dat) });
  await Promise.all(
    lab.nodes.map(async ({ port }) => {
      const to = { address: lab.host, port };
      const found = await node.ask(to, 'find', { target: key, w: [node.family === 4 ? 2 : 10] });
      if (found.type !== 'reply' || !found.body.token) return;
      await node.ask(to, 'put', { h: key, token: found.body.token }, { values: [packed] });
    }),
  );
}

export function newNode(network = 0, family: 4 | 6 = 4): Promise<DhtNode> {
  return DhtNode.open({ family, port: 0, network, id: randomBytes(20), log: silentLogger });
}

/** Digests of the values that the nodes of a lab hold under a key. */
export async function heldUnder(node: DhtNode, lab: DhtLab, key: Buffer): Promise<Set<string>> {
  const held = new Set<string>();
  await Promise.all(
    lab.nodes.map(async ({ port }) => {
      const answer = await node.ask({ address: lab.host, port }, 'get', { h: key, w: [2] });
      if (answer.type !== 'reply') return;
      for (const value of answer.values) held.add(createHash('sha1').update(value).digest('hex'));
    }),
  );
  return held;
}

/** The contract over real nodes. */
export async function opendhtBench(count = 3): Promise<ContractBench> {
  const lab = await DhtLab.start(count);
  const ring = new KeyRing();
  const tools = await newNode();
  const keys = new Map<string, Buffer>();
  const settings = {
    name: 'opendht',
    opendht: { bootstrap: lab.bootstrap(2), port: 0, network: 0 },
  } as const;
  return {
    async open(_side, ctx: RendezvousContext) {
      const inner = await openRendezvous(settings, ctx);
      return adapt(inner, ring, ({ app, kind, toKey }) => {
        const key = letterKey(toKey ?? Buffer.alloc(0), app, kind);
        keys.set(key.toString('hex'), key);
      });
    },
    async litter(what, app) {
      const key = letterKey(ring.of(BOB).info, app, 'invite');
      const id = BigInt(Math.floor(Date.now() / 1000)) + 1000n;
      const body = (data: Buffer) => encodeMsgpack({ body: { type: 0, data } });
      const dats = {
        garbage: [
          encodeMsgpack(randomBytes(300)),
          encodeMsgpack({ body: { type: 3, data: randomBytes(30) } }),
        ],
        empty: [body(Buffer.alloc(0))],
        huge: [body(randomBytes(60_000))],
      }[what];
      for (const [i, dat] of dats.entries()) await putRaw(tools, lab, key, { id: id + BigInt(i), dat });
    },
    async stored() {
      let total = 0;
      for (const key of keys.values()) total += (await heldUnder(tools, lab, key)).size;
      return total;
    },
    disrupt: () => lab.restart(),
    // Ids of values count seconds.
    ageMs: 1_100,
    async close() {
      await tools.close();
      await lab.close();
    },
  };
}

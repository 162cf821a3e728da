import { readFileSync } from 'node:fs';

const FOLDER = new URL('../fixtures/plexus/dht/', import.meta.url);

/** A value as the real plexus put it, with what the capture tool read in it. */
export interface CapturedValue {
  readonly run: string;
  readonly key: string;
  readonly valueId: bigint;
  /** Msgpack of the whole value. */
  readonly raw: Buffer;
  readonly kind: 'invite' | 'accept';
  readonly owner: 'alice' | 'bob';
  readonly recipient: 'alice' | 'bob';
  readonly text: string;
}

const RUNS = [
  'v314-dht1',
  'v314-invite_v341-accept',
  'v314-wormhole-run',
  'v341-invite_v314-accept',
  'v341-relay-3.4',
  'v341-tcp-3.3',
  'v341-tcp-mutual-no-udp-3.3',
  'v341-udp-mutual-3.3',
] as const;

interface Recorded {
  readonly key: string;
  readonly key_is: readonly string[];
  readonly value_id: number;
  readonly raw_value: string;
  readonly owner: readonly ('alice' | 'bob')[];
  readonly recipient: 'alice' | 'bob';
  readonly text: string;
}

/** The values of all captured runs of plexus 3.1.4 and 3.4.1 under app `pxapp`. */
export function capturedValues(): CapturedValue[] {
  return RUNS.flatMap((run) => {
    const file = readFileSync(new URL(`values-${run}.json`, FOLDER), 'utf8');
    const { values } = JSON.parse(file) as { values: Recorded[] };
    return values.map((value) => ({
      run,
      key: value.key,
      valueId: BigInt(value.value_id),
      raw: Buffer.from(value.raw_value, 'hex'),
      kind: value.key_is[0]?.endsWith(':invite') ? ('invite' as const) : ('accept' as const),
      owner: value.owner[0]!,
      recipient: value.recipient,
      text: value.text,
    }));
  });
}

/** Every DHT datagram of one run between two plexus and a dhtnode, with what the capture tool took it for. */
export function capturedDatagrams(): { readonly what: string; readonly bytes: Buffer }[] {
  const file = readFileSync(new URL('datagrams-v341-invite_v314-accept.json', FOLDER), 'utf8');
  const rows = JSON.parse(file) as { msg: string; hex: string }[];
  return rows.map(({ msg, hex }) => ({ what: msg, bytes: Buffer.from(hex, 'hex') }));
}

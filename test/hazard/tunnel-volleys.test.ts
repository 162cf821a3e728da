import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { hasOffload } from '../../src/util/offload.js';
import { echoes, forgedTunnel } from '../support/forged-tunnel.js';

const [SEGMENT, DATAGRAM, REPORT, PROBE, WIDE, UDX] = [0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xff];

test.runIf(hasOffload())(
  'somebody on the path who forges and repeats packets of volleys now and then costs no byte and no path',
  async () => {
    const { alice, forger, session, stop, client } = await forgedTunnel(undefined, undefined, {
      volleys: true,
    });
    await echoes(client, 100_000);
    let turn = 0;
    let old: Buffer | undefined;
    forger.attack = (packet) => {
      turn += 1;
      if (turn % 41 !== 0) return undefined;
      const forged = Buffer.from(packet);
      if (packet[0] === SEGMENT || packet[0] === WIDE) {
        // Other bytes, another length of the volley, one that was not sent yet; in turns.
        if (turn % 3 === 0) randomBytes(forged.length - 17).copy(forged, 17);
        else if (turn % 3 === 1) forged[14] = 54;
        else forged.writeUIntBE(forged.readUIntBE(7, 6) + 300, 7, 6);
      } else {
        forged[forged.length >> 1] = (forged[forged.length >> 1] as number) ^ 0x80;
      }
      const packets = [
        forged,
        old ?? packet,
        Buffer.from([SEGMENT, 0xff, 0xff, 1]),
        Buffer.from([REPORT, 0, 9, 1]),
      ];
      if (turn % 5 === 0) old = Buffer.from(packet);
      return { packets };
    };
    // Probes may be lost on the way, too, and are repeated.
    for (let i = 0; i < 4 || (i < 60 && !forger.seen.has(WIDE)); i++) await echoes(client, 400_000);
    expect(forger.forged).toBeGreaterThan(20);
    expect(alice.events.filter(({ event }) => event === 'reconnecting')).toEqual([]);
    for (const kind of [SEGMENT, DATAGRAM, REPORT, PROBE, WIDE])
      expect(forger.seen.get(kind), `${kind}`).toBeGreaterThan(0);
    expect(forger.seen.has(UDX)).toBe(false);
    stop.abort();
    expect(await session).toBe(0);
  },
);

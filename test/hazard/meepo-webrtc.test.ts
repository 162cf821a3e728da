import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import type { LinkState, MeepoLink } from '../../src/meepo/link.js';
import { answerWebrtc, offerWebrtc } from '../../src/meepo/webrtc.js';

const SETTINGS = { iceServers: [], onlyAddress: '127.0.0.1' };

/** A path of two ends in this process, and the ports of both; on a machine that stands still now and then it takes several tries. */
async function connected() {
  for (let tries = 1; ; tries++) {
    const path = await tried();
    const states = () => path.links.map((link) => link.state);
    const settled = () =>
      states().every((one) => one === 'connected') ||
      states().some((one) => one === 'failed' || one === 'closed');
    await expect.poll(settled, { timeout: 40_000 }).toBe(true);
    if (states().every((one) => one === 'connected')) return path;
    expect(tries).toBeLessThan(4);
    await Promise.all(path.links.map((link) => link.close()));
  }
}

async function tried() {
  const states: LinkState[] = [];
  const streams: Duplex[] = [];
  const events = {
    sys: () => {},
    state: (state: LinkState) => void states.push(state),
    stream: (_label: string, stream: Duplex) => void streams.push(stream.pipe(stream)),
  };
  const offer = await offerWebrtc(SETTINGS, events);
  const answer = await answerWebrtc(SETTINGS, offer.sdp, events);
  const links: MeepoLink[] = [offer.link, answer.link];
  onTestFinished(async () => {
    await Promise.all(links.map((link) => link.close()));
  });
  await offer.accept(answer.sdp);
  const ports = [offer.sdp, answer.sdp].flatMap((sdp) =>
    [...sdp.matchAll(/^a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+)/gim)].map((match) => Number(match[1])),
  );
  return { links, states, ports };
}

const clear = (type: number, body: Buffer) => {
  const header = Buffer.from([
    type,
    0xfe,
    0xfd,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    9,
    body.length >> 8,
    body.length & 0xff,
  ]);
  return Buffer.concat([header, body]);
};
/** A whole ClientHello without a cookie, as whoever begins would send it. */
const HELLO = (() => {
  const body = Buffer.concat([
    Buffer.from([0xfe, 0xfd]),
    Buffer.alloc(32, 7),
    Buffer.from([0, 0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 0]),
  ]);
  const header = Buffer.from([1, 0, 0, body.length, 0, 0, 0, 0, 0, 0, 0, body.length]);
  return clear(22, Buffer.concat([header, body]));
})();

test('whoever knows the ports of a path can neither end it nor make it begin anew', {
  timeout: 180_000,
}, async () => {
  const { links, states, ports } = await connected();
  expect(ports.length).toBeGreaterThanOrEqual(2);
  const stranger = createSocket('udp4');
  onTestFinished(() => {
    stranger.close();
  });
  const stream = (await links[0]?.openStream('echo')) as Duplex;
  stream.write('before');
  expect(String((await once(stream, 'data'))[0])).toBe('before');
  const forged = [HELLO, clear(21, Buffer.from([1, 0])), clear(21, Buffer.from([2, 40])), clear(23, HELLO)];
  for (const port of ports) {
    for (const one of [...forged, Buffer.alloc(1), Buffer.alloc(1400, 23)]) {
      await new Promise((done) => stranger.send(one, port, '127.0.0.1', done));
    }
  }
  // They were sent before, and a socket keeps its order: the answer comes behind all of them.
  stream.write('behind');
  expect(String((await once(stream, 'data'))[0])).toBe('behind');
  const big = Buffer.alloc(300_000, 5);
  let got = 0;
  stream.on('data', (data: Buffer) => {
    got += data.length;
  });
  stream.write(big);
  await expect.poll(() => got, { timeout: 40_000 }).toBe(big.length);
  expect(states).not.toContain('closed');
  expect(states).not.toContain('disconnected');
});

import { sleep } from '../../util/sleep.js';
import { type Consignment, gapAfter } from './courier.js';
import type { DhtKeyPair, DhtNode, DhtPeer } from './library.js';
import { DHT_RECORD_KNOCK_MS, DHT_RECORD_POLL_GAPS_MS } from './limits.js';
import { answerSeed } from './place.js';
import { fetchBox } from './records.js';

/**
 * The way over the library's public interface: the letter lies in records of the DHT (`published`), a knock tells the
 * acceptor whose, and the answer is looked for in records. Slower, and costs the network more.
 * @throws the signal's reason
 */
export async function carryByRecords(
  letter: Consignment,
  acceptor: DhtPeer,
  published: Promise<void>,
  signal: AbortSignal,
): Promise<Buffer> {
  const { library, node, keyPair, place, id } = letter;
  const seed = answerSeed(place, id, acceptor.publicKey);
  const { publicKey } = library.keyPair(seed);
  await published;
  let end = () => {};
  let knocked = Number.NEGATIVE_INFINITY;
  try {
    for (let asked = 0; ; asked++) {
      signal.throwIfAborted();
      if (performance.now() - knocked > DHT_RECORD_KNOCK_MS) {
        end();
        end = knockAt(node, acceptor, keyPair);
        knocked = performance.now();
      }
      const box = await fetchBox(node, publicKey).catch(() => undefined);
      if (box) return box;
      await sleep(gapAfter(asked, DHT_RECORD_POLL_GAPS_MS), signal);
    }
  } finally {
    end();
  }
}

/** A plain HyperDHT connection attempt, of which the acceptor only sees whose it is. */
function knockAt(node: DhtNode, acceptor: DhtPeer, keyPair: DhtKeyPair): () => void {
  const stream = node.connect(acceptor.publicKey, {
    keyPair,
    localConnection: false,
    holepunch: () => false,
    ...(acceptor.relayAddresses.length > 0 && { relayAddresses: acceptor.relayAddresses }),
  });
  stream.on('error', () => {});
  return () => stream.destroy();
}

import { describe, expect, it } from 'vitest';
import type { DhtLibrary } from '../../../../src/rendezvous/hyperdht/library.js';
import { ClientNode } from '../../../../src/rendezvous/hyperdht/node.js';

/** A library whose node answers questions as told, the first question first. */
function libraryThat(...answers: (() => Promise<unknown>)[]) {
  const asked: number[] = [];
  class Node {
    on() {}
    fullyBootstrapped = async () => {};
    destroy = async () => {};
    ping(): Promise<unknown> {
      asked.push(performance.now());
      return (answers[asked.length - 1] ?? lost)();
    }
  }
  return { library: Object.assign(Node, { BOOTSTRAP: [] }) as unknown as DhtLibrary, asked };
}

const lost = () => Promise.reject(new Error('REQUEST_TIMEOUT'));
const silent = () => new Promise(() => {});
const forever = new AbortController().signal;
const settings = { name: 'hyperdht', bootstrap: [{ host: '127.0.0.1', port: 49737 }] } as const;

async function reach(...answers: (() => Promise<unknown>)[]) {
  const { library, asked } = libraryThat(...answers);
  const node = await ClientNode.open(library, settings, undefined, forever);
  return { asked, reached: node.reach(forever) };
}

describe('the first question to the bootstrap nodes', () => {
  it('is asked again when all repeats of it were lost, and once more while nothing comes', async () => {
    const { asked, reached } = await reach(lost, silent, async () => ({}));
    await reached;
    expect(asked).toHaveLength(3);
  });

  it('ends as unreachable when every one was lost, with the names and a cure', async () => {
    const { asked, reached } = await reach();
    await expect(reached).rejects.toMatchObject({
      code: 'RENDEZVOUS_UNREACHABLE',
      message: 'no HyperDHT node answers at 127.0.0.1:49737: nothing came back',
      hint: expect.stringContaining('may UDP leave this network?'),
    });
    expect(asked).toHaveLength(3);
  });
});

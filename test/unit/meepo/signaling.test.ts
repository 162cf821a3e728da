import { expect, test } from 'vitest';
import { silentLogger } from '../../../src/log.js';
import { type Signaler, Signaling } from '../../../src/meepo/signaling.js';
import type { Descriptor } from '../../../src/wire/meepo/descriptor.js';

const descriptor = (ID: string): Descriptor => ({ ID, UserData: {} });
const carry = (...signalers: Signaler[]) =>
  new Signaling(() => signalers, silentLogger, AbortSignal.timeout(60_000)).carry(
    'peer',
    descriptor('offer'),
  );

/** A way that answers, or fails, or neither; `asked` counts. */
function way(name: string, answer?: Descriptor | Error) {
  const made = {
    name,
    asked: 0,
    ended: false,
    wire: (_peer: string, _offer: Descriptor, signal: AbortSignal) => {
      made.asked += 1;
      if (answer instanceof Error) return Promise.reject(answer);
      if (answer) return Promise.resolve(answer);
      return new Promise<Descriptor>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          made.ended = true;
          reject(signal.reason);
        });
      });
    },
    close: async () => {},
  };
  return made;
}

test('neighbours that know nobody and stay silent hold up no server, and are not waited for afterwards', async () => {
  const silent = way('selfmesh');
  expect((await carry(silent, way('redis', descriptor('answer')))).ID).toBe('answer');
  expect(silent).toMatchObject({ asked: 1, ended: true });
});

test('the first way comes first: where it answers, no other is asked', async () => {
  const second = way('redis', descriptor('second'));
  expect((await carry(way('selfmesh', descriptor('first')), second)).ID).toBe('first');
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(second.asked).toBe(0);
});

test('where all fail the last one says why; where there is none, that is said', async () => {
  await expect(
    carry(way('a', new Error('out of edge')), way('b', new Error('Redis is away'))),
  ).rejects.toThrow('Redis is away');
  await expect(carry()).rejects.toMatchObject({ code: 'MEEPO_UNAVAILABLE' });
});

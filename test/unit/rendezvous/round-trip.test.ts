import { afterEach, expect, test } from 'vitest';
import { openFile } from '../../../src/rendezvous/file.js';
import { roundTrip } from '../../../src/rendezvous/round-trip.js';
import type { Rendezvous } from '../../../src/rendezvous/types.js';
import { CONTEXT } from '../../support/backend-contract.js';
import { tempDir } from '../../support/tmp.js';

const opened: Rendezvous[] = [];
afterEach(() => Promise.all(opened.splice(0).map((one) => one.close())));

async function folder(): Promise<Rendezvous> {
  const link = await openFile(tempDir(), CONTEXT);
  opened.push(link);
  await link.prepare(AbortSignal.timeout(20_000));
  return link;
}

test('a letter that nobody else waits for comes back', async () => {
  const link = await folder();
  expect(await roundTrip(link, AbortSignal.timeout(5000))).toBeLessThan(5000);
  expect(await roundTrip(link, AbortSignal.timeout(5000))).toBeGreaterThan(0);
});

test('what never comes back ends with the caller’s reason, and nobody listens any more', async () => {
  const link = await folder();
  let listening = 0;
  const mute: Rendezvous = {
    ...{ name: 'mute', sealing: 'smime' as const, prepare: async () => {}, push: async () => {} },
    close: async () => {},
    async *listen(filter, signal) {
      listening += 1;
      try {
        yield* link.listen(filter, signal);
      } finally {
        listening -= 1;
      }
    },
  };
  const controller = new AbortController();
  const waiting = roundTrip(mute, controller.signal);
  setTimeout(() => controller.abort(new Error('enough')), 50);
  await expect(waiting).rejects.toThrow('enough');
  await expect.poll(() => listening).toBe(0);
});

test('a backend that does not take the letter says why', async () => {
  const link = await folder();
  const full: Rendezvous = {
    ...link,
    name: 'full',
    sealing: 'smime',
    listen: (f, s) => link.listen(f, s),
    push: () => Promise.reject(new Error('full')),
  };
  await expect(roundTrip(full, AbortSignal.timeout(5000))).rejects.toThrow('full');
});

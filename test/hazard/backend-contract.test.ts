import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRendezvous, RENDEZVOUS_NAMES } from '../../src/rendezvous/registry.js';
import { backendContract, type ContractBench } from '../support/backend-contract.js';

/** Where each entry of the registry is put to the test; the others need real parts. */
const CONTRACTS = {
  file: 'here',
  email: 'test/interop/email-contract.test.ts',
  hyperdht: 'test/interop/hyperdht-contract.test.ts',
  opendht: 'test/interop/opendht-contract.test.ts',
  meepo: 'test/interop/meepo-contract.test.ts',
};

test('every rendezvous in the registry has its contract run', () => {
  expect(new Set(RENDEZVOUS_NAMES)).toEqual(new Set(Object.keys(CONTRACTS)));
});

async function folderBench(): Promise<ContractBench> {
  const base = await mkdtemp(join(tmpdir(), 'awl-file-'));
  const folder = join(base, 'meeting');
  let serial = 0;
  return {
    open: (_side, ctx) => openRendezvous({ name: 'file', folder }, ctx),
    async litter(what, app) {
      const name = `${'0'.repeat(32)}-${String(serial++).padStart(24, '0')}.awl`;
      const head = `{"awl":1,"app":${JSON.stringify(app)}`;
      const text = { garbage: `${head},\0\xff\n`, empty: '', huge: `${head}\n${'x'.repeat(5_000_000)}` }[
        what
      ];
      await writeFile(join(folder, name), text);
      await writeFile(join(folder, `stray file ${serial}`), text);
    },
    stored: async () => {
      const names = await readdir(folder).catch(() => []);
      // Litter begins with 32 zeros; one letter in sixteen begins with a single one.
      return names.filter((name) => /^(?!0{32})[0-9a-f]{32}-/.test(name)).length;
    },
    async disrupt() {
      await rename(folder, `${folder}.gone`);
      await new Promise((resolve) => setTimeout(resolve, 250));
      await mkdir(folder, { recursive: true });
      await rm(`${folder}.gone`, { recursive: true });
    },
    close: () => rm(base, { recursive: true, force: true }),
  };
}

backendContract('file', folderBench);

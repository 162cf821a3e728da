import { expect, test } from 'vitest';
import { openRendezvous, RENDEZVOUS_NAMES } from '../../../src/rendezvous/registry.js';
import { CONTEXT } from '../../support/backend-contract.js';

test('every backend opens by its name, without touching the network', async () => {
  const server = { host: 'mail.invalid', port: 1 };
  const email = { smtps: server, imaps: server, login: 'a@b', password: 'correct horse' };
  const opened = [
    await openRendezvous({ name: 'email', email }, CONTEXT),
    await openRendezvous({ name: 'opendht', opendht: { bootstrap: [server], port: 0, network: 0 } }, CONTEXT),
    await openRendezvous({ name: 'file', folder: '/nonexistent/awl' }, CONTEXT),
  ];
  expect(opened.map(({ name, sealing }) => ({ name, sealing }))).toEqual([
    { name: 'email', sealing: 'smime' },
    { name: 'opendht', sealing: 'opendht' },
    { name: 'file', sealing: 'smime' },
  ]);
  expect(RENDEZVOUS_NAMES).toEqual(['email', 'hyperdht', 'opendht', 'meepo', 'file']);
  for (const rendezvous of opened) await rendezvous.close();
});

test('a file rendezvous without a folder is a usage error, not a mailbox in the current directory', async () => {
  await expect(openRendezvous({ name: 'file', folder: '' }, CONTEXT)).rejects.toMatchObject({
    code: 'USAGE_BAD_VALUE',
  });
});

test('OpenDHT without a node to begin with is a usage error', async () => {
  const opendht = { bootstrap: [], port: 0, network: 0 };
  await expect(openRendezvous({ name: 'opendht', opendht }, CONTEXT)).rejects.toMatchObject({
    code: 'USAGE_MISSING',
  });
});

import { expect, test } from 'vitest';
import { openRendezvous, RENDEZVOUS_NAMES } from '../../../src/rendezvous/registry.js';
import { CONTEXT } from '../../support/backend-contract.js';

test('every backend opens by its name, without touching the network', async () => {
  const server = { host: 'mail.invalid', port: 1 };
  const email = { smtps: server, imaps: server, login: 'a@b', password: 'correct horse' };
  const opened = [
    await openRendezvous({ name: 'email', email }, CONTEXT),
    await openRendezvous({ name: 'file', folder: '/nonexistent/awl' }, CONTEXT),
  ];
  expect(opened.map(({ name, sealing }) => ({ name, sealing }))).toEqual([
    { name: 'email', sealing: 'smime' },
    { name: 'file', sealing: 'smime' },
  ]);
  expect(RENDEZVOUS_NAMES).toEqual(['email', 'file']);
  for (const rendezvous of opened) await rendezvous.close();
});

test('a file rendezvous without a folder is a usage error, not a mailbox in the current directory', async () => {
  await expect(openRendezvous({ name: 'file', folder: '' }, CONTEXT)).rejects.toMatchObject({
    code: 'USAGE_BAD_VALUE',
  });
});

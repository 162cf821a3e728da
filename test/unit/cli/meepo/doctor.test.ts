import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { gravestStatus } from '../../../../src/cli/exit-codes.js';
import { checkNode, nodeCheckText } from '../../../../src/cli/meepo/doctor.js';
import { meepoKeys } from '../../../../src/wire/meepo/keys.js';
import { formatKeyFile } from '../../../../src/wire/meepo/openssh.js';
import { freePort } from '../../../support/testnet.js';

const keys = meepoKeys();
let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'awl-meepo-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function look(config: string) {
  writeFileSync(join(folder, 'config.yaml'), config);
  const signal = AbortSignal.timeout(30_000);
  const checks = await checkNode({ flags: new Map(), io: { env: { AWL_MEEPO_DIR: folder } }, signal });
  return { checks, of: (name: string) => checks.find((one) => one.name === name) };
}

test('what a node needs is looked at one by one, and each fault has a code and a hint', async () => {
  const file = join(folder, 'key.pem');
  writeFileSync(file, formatKeyFile({ keys, comment: '' }), { mode: 0o644 });
  chmodSync(file, 0o644);
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  const api = typeof address === 'object' && address ? address.port : 0;
  const [socks, away] = [await freePort(), await freePort()];
  const config = (rule: string) => `meepo:
  identityFile: ${file}
  api: {name: http, host: 127.0.0.1, port: ${api}}
  proxy: {socks5: {host: 127.0.0.1, port: ${socks}}}
  signaling: {name: redis, url: "redis://127.0.0.1:${away}/1"}
  acl: {allows: ["${rule}"]}
`;
  try {
    const { checks, of } = await look(config('a'));
    expect(of('Configuration')).toMatchObject({ ok: true });
    expect(of('Socket')?.text).toContain('nobody answers');
    expect(of('Identity')).toMatchObject({ ok: false, code: 'IDENTITY_UNSAFE', hint: `chmod 600 ${file}` });
    expect(of('API port')).toMatchObject({ ok: false, code: 'TCP_BIND' });
    expect(of('Proxy port')).toMatchObject({ ok: true, text: `127.0.0.1:${socks} is free` });
    expect(of('Signaling')).toMatchObject({ ok: false, code: 'RENDEZVOUS_UNREACHABLE' });
    expect(of('Access')).toMatchObject({ ok: false, code: 'CONFIG_SYNTAX' });
    expect(gravestStatus(checks)).toBe(78);
    expect(nodeCheckText(checks)).toContain(`IDENTITY_UNSAFE: others may read the identity file ${file}\n`);
    chmodSync(file, 0o600);
    const mended = await look(config('127.0.0.1:80'));
    expect(mended.of('Identity')).toMatchObject({ ok: true, text: expect.stringContaining(keys.id) });
    expect(mended.of('Access')?.text).toBe('everybody who knows our id may reach 127.0.0.1:80');
  } finally {
    taken.close();
  }
});

test('a file with an unknown key is named, and nothing is made of the rest', async () => {
  const { checks, of } = await look('meepo: {acl: {block: []}}');
  expect(of('Configuration')).toMatchObject({ ok: false, code: 'CONFIG_UNKNOWN_NAME' });
  expect(checks.map(({ name }) => name)).toEqual(['Configuration', 'Folder', 'Socket']);
});

test('a folder that others can write to is a fault: they could put a socket of theirs there', async () => {
  const open = join(folder, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  const signal = AbortSignal.timeout(30_000);
  writeFileSync(join(open, 'config.yaml'), 'meepo: {asSignaling: 1}');
  const checks = await checkNode({ flags: new Map(), io: { env: { AWL_MEEPO_DIR: open } }, signal });
  expect(checks.find(({ name }) => name === 'Folder')).toMatchObject({ ok: false, code: 'IDENTITY_UNSAFE' });
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXTENSION_OID } from '../../src/constants.js';
import type { HostIdentity } from '../../src/identity/repository.js';
import { invitation, REFERENCE, REFERENCE_TEXT, receive, refusal } from '../support/exchange.js';
import { needs } from '../support/needs.js';
import { capturedParty, makeParty } from '../support/parties.js';

/** The openssl program signs by the real clock, whatever it shows where this runs. */
const LONG = { from: new Date('2000-01-01T00:00:00Z'), to: new Date('2049-12-31T00:00:00Z') };
let folder: string;
let alice: HostIdentity;
let bob: HostIdentity;
let ec: HostIdentity;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'awl-openssl-'));
  alice = makeParty('alice@px.test/pinA', LONG);
  bob = makeParty('bob@px.test/pinB', LONG);
  ec = makeParty('ec@px.test/pin', { type: 'ec', ...LONG });
  for (const [name, party] of Object.entries({ alice, bob, ec, captured: capturedParty('alice') })) {
    writeFileSync(join(folder, `${name}.crt`), party.cert.pem);
    writeFileSync(join(folder, `${name}.key`), party.key.export({ type: 'pkcs8', format: 'pem' }), {
      mode: 0o600,
    });
  }
  writeFileSync(join(folder, 'text'), REFERENCE_TEXT);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly status: number | null;
  readonly out: Buffer;
  readonly err: string;
}

function openssl(command: string, input: Uint8Array = Buffer.alloc(0)): Run {
  const run = spawnSync('openssl', command.split(' '), { cwd: folder, input, timeout: 20_000 });
  return { status: run.status, out: run.stdout, err: run.stderr.toString() };
}

/** Runs openssl, which must succeed; yields what it wrote. */
function made(command: string, input?: Uint8Array): Buffer {
  const { status, out, err } = openssl(command, input);
  expect(`${status} ${status === 0 ? '' : err}`).toBe('0 ');
  return out;
}

/** What the openssl program makes was signed now, not when the captures were. */
function receiveNow(bytes: Uint8Array, from = alice) {
  return receive({ form: 'smime', bytes }, bob, from, { now: new Date() });
}

describe.skipIf(!needs('openssl'))('the openssl program, which does for plexus what we do', () => {
  const VERIFY = '-verify -nointern -noverify';

  test.each(['aes256', 'des3'] as const)('opens and verifies what we seal with %s', (cipher) => {
    for (const extension of [undefined, { caps: ['confirm'], dh: Buffer.alloc(32) }]) {
      const { bytes } = invitation(alice, bob, { cipher, ...(extension && { extension }) });
      for (const tool of ['smime', 'cms']) {
        const signed = made(`${tool} -decrypt -recip bob.crt -inkey bob.key`, bytes);
        const text = made(`${tool} ${VERIFY} -certfile alice.crt`, signed);
        expect(text.toString()).toBe(REFERENCE_TEXT);
      }
    }
  });

  test('opens what we seal with LF line ends too, as plexus hands it over', () => {
    const lf = (bytes: Uint8Array) =>
      Buffer.from(Buffer.from(bytes).toString('latin1').replaceAll('\r\n', '\n'));
    const signed = made('smime -decrypt -recip bob.crt -inkey bob.key', lf(invitation(alice, bob).bytes));
    expect(made(`smime ${VERIFY} -certfile alice.crt`, lf(signed)).toString()).toBe(REFERENCE_TEXT);
  });

  test('verifies our EC signatures, and against a CA', () => {
    const signed = made('smime -decrypt -recip bob.crt -inkey bob.key', invitation(ec, bob).bytes);
    expect(made(`smime ${VERIFY} -certfile ec.crt`, signed).toString()).toBe(REFERENCE_TEXT);
    const byAlice = made('smime -decrypt -recip bob.crt -inkey bob.key', invitation(alice, bob).bytes);
    made('smime -verify -nointern -certfile alice.crt -CAfile alice.crt -purpose any', byAlice);
  });

  test('sees our extension under its OID, and no certificate', () => {
    const { bytes } = invitation(alice, bob, { extension: { caps: ['confirm'] } });
    writeFileSync(join(folder, 'signed'), made('smime -decrypt -recip bob.crt -inkey bob.key', bytes));
    const p7 = made('smime -pk7out -in signed');
    const printed = made('cms -cmsout -print -inform PEM', p7).toString();
    expect(printed).toContain(`undefined (${EXTENSION_OID})`);
    expect(printed).toMatch(/certificates:\s+<ABSENT>/);
    expect(printed.match(/object: /g)?.length).toBe(4);
  });

  test('rejects what we reject: another signer, a changed text', () => {
    const signed = made('smime -decrypt -recip bob.crt -inkey bob.key', invitation(alice, bob).bytes);
    expect(openssl(`smime ${VERIFY} -certfile bob.crt`, signed).status).not.toBe(0);
    const changed = Buffer.from(signed.toString('latin1').replace('40001', '40002'));
    expect(openssl(`smime ${VERIFY} -certfile alice.crt`, changed).status).not.toBe(0);
  });

  test.each([
    ['as plexus does', 'smime -sign -nocerts -stream', 'smime -encrypt -des3 -stream'],
    ['with AES in DER', 'smime -sign -nocerts', 'smime -encrypt -aes256'],
    ['with AES-128', 'smime -sign -nocerts -nosmimecap', 'smime -encrypt -aes128 -stream'],
    ['with AES-192', 'smime -sign -nocerts -crlfeol', 'smime -encrypt -aes192'],
    ['with SHA-512', 'smime -sign -nocerts -md sha512', 'smime -encrypt -des3'],
    ['with certificates inside', 'smime -sign', 'smime -encrypt -des3 -stream'],
    ['as CMS', 'cms -sign -nocerts -stream', 'cms -encrypt -aes256 -stream'],
  ])('makes messages that we open: %s', (_what, sign, encrypt) => {
    const signed = made(`${sign} -signer alice.crt -inkey alice.key -in text`);
    const opened = receiveNow(made(`${encrypt} bob.crt`, signed));
    expect(opened.reference).toEqual(REFERENCE);
    expect(opened.extension).toBeUndefined();
    const lf = made(`${encrypt} bob.crt`, Buffer.from(signed.toString('latin1').replaceAll('\r\n', '\n')));
    expect(receiveNow(lf).digest).toBe(opened.digest);
  });

  test('makes a message for two of which we are one, and we open it', () => {
    const signed = made('smime -sign -nocerts -signer alice.crt -inkey alice.key -in text');
    expect(receiveNow(made('smime -encrypt -aes256 alice.crt bob.crt', signed)).reference).toEqual(REFERENCE);
  });

  test('makes an EC signature that we verify', () => {
    const signed = made('smime -sign -nocerts -signer ec.crt -inkey ec.key -in text');
    expect(receiveNow(made('smime -encrypt -aes256 bob.crt', signed), ec).reference).toEqual(REFERENCE);
  });

  test.each([
    ['SHA-1', 'smime -sign -nocerts -md sha1', 'MESSAGE_UNSUPPORTED'],
    ['no signed attributes', 'smime -sign -nocerts -noattr', 'MESSAGE_NOT_PINNED'],
    ['the text inside the signature', 'smime -sign -nocerts -nodetach', 'MESSAGE_NOT_PINNED'],
    ['a key identifier instead of issuer and serial', 'cms -sign -nocerts -keyid', 'MESSAGE_NOT_PINNED'],
    ['RSA-PSS', 'cms -sign -nocerts -keyopt rsa_padding_mode:pss', 'MESSAGE_NOT_PINNED'],
    ['two signers', 'smime -sign -nocerts -signer bob.crt -inkey bob.key', 'MESSAGE_NOT_PINNED'],
  ] as const)('makes messages that we refuse: %s', (_what, sign, code) => {
    const signer = ' -signer alice.crt -inkey alice.key';
    const command = sign.includes('-keyopt') ? sign.replace(' -keyopt', `${signer} -keyopt`) : sign + signer;
    const signed = made(`${command} -in text`);
    refusal(() => receiveNow(made('smime -encrypt -aes256 bob.crt', signed)), code);
  });

  test.each(['-rc2', '-des-cbc', '-camellia256'])('refuses to be talked into %s', (cipher) => {
    const signed = made('smime -sign -nocerts -signer alice.crt -inkey alice.key -in text');
    const sealed = made(`cms -encrypt -provider legacy -provider default ${cipher} bob.crt`, signed);
    refusal(() => receiveNow(sealed), 'MESSAGE_UNDECRYPTABLE');
  });

  test('F1 again: openssl with plexus’ flags takes a self-made signer, we do not', () => {
    const mallory = makeParty('alice@px.test/pinA', LONG);
    writeFileSync(join(folder, 'm.crt'), mallory.cert.pem);
    writeFileSync(join(folder, 'm.key'), mallory.key.export({ type: 'pkcs8', format: 'pem' }), {
      mode: 0o600,
    });
    const signed = made('smime -sign -signer m.crt -inkey m.key -in text');
    expect(openssl('smime -verify -noverify -certfile alice.crt', signed).status).toBe(0);
    refusal(() => receiveNow(made('smime -encrypt -aes256 bob.crt', signed)), 'MESSAGE_NOT_PINNED');
  });

  test('the captures in the fixtures are what openssl finds in them', () => {
    const capture = readFileSync(new URL('../fixtures/plexus/email/invite.signed.mime', import.meta.url));
    expect(made(`smime ${VERIFY} -certfile captured.crt`, capture).toString()).toContain(
      'PLEXUS 3.0 203.0.113.10 5021',
    );
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/cli/config.js';
import { parseName } from '../../../src/identity/names.js';
import { parseCertificate } from '../../../src/identity/x509.js';

const EXAMPLE = new URL('../../../apprepo-example/', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, EXAMPLE), 'utf8');

test('the example repository holds readable certificates of its names, and no private key', () => {
  const files = readdirSync(EXAMPLE, { recursive: true }).map(String);
  expect(files.filter((file) => file.endsWith('.key'))).toEqual([]);
  for (const file of files.filter((path) => /\.(md|ini|crt)$|README$/.test(path))) {
    expect(read(file), file).not.toContain('PRIVATE KEY-----');
  }
  const certificates = files.filter((file) => file.endsWith('.crt'));
  expect(certificates).toHaveLength(2);
  for (const file of certificates) {
    const { owner } = parseName(file.split('/').slice(0, 2).join('/'));
    expect(parseCertificate(read(file), file).x509.subject).toBe(`CN=${owner}`);
  }
});

test('every line of the example configuration is an option, also those that are commented out', () => {
  const text = read('awl.ini');
  const plain = parseConfig(text, 'awl.ini');
  const all = parseConfig(text.replace(/^#(?=[a-z-]+=)/gm, ''), 'awl.ini');
  expect(plain.warnings).toEqual([]);
  expect(all.assignments.length).toBeGreaterThan(plain.assignments.length + 10);
  expect(plain.assignments.map(({ name }) => name)).toContain('exec-command');
});

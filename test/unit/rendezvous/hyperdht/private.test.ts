import { expect, test } from 'vitest';
import { loadLibrary, requireModule } from '../../../../src/rendezvous/hyperdht/library.js';
import { isCarrier, openCarrier } from '../../../../src/rendezvous/hyperdht/private.js';

const library = loadLibrary();

/** The library's modules, one of them another. */
function modulesWith(id: string, other: unknown): (wanted: string) => unknown {
  return (wanted) => (wanted === id ? other : requireModule(wanted));
}

test('the installed HyperDHT is as the private file knows it', () => {
  expect(isCarrier(openCarrier(library))).toBe(true);
});

test.each([
  ['another version', 'hyperdht/package.json', { version: '6.35.0' }, /version is 6\.35\.0/],
  ['no version', 'hyperdht/package.json', {}, /version/],
  ['a router without the function', 'hyperdht/lib/router', class {}, /no hyperdht\/lib\/router/],
  ['a server without the hooks', 'hyperdht/lib/server', class {}, /no hyperdht\/lib\/server/],
  ['a handshake of another form', 'hyperdht/lib/noise-wrap', class {}, /./],
  [
    'a handshake that loses the payload',
    'hyperdht/lib/noise-wrap',
    class {
      readonly handshake = { send: (b: Buffer) => b, recv: () => Buffer.alloc(0) };
    },
    /carries no payload/,
  ],
])('%s is noticed before anything is sent', (_what, id, other, words) => {
  const opened = openCarrier(library, modulesWith(id, other));
  expect(isCarrier(opened)).toBe(false);
  expect('differs' in opened && opened.differs).toMatch(words);
});

test('a module that is gone is noticed, too', () => {
  const opened = openCarrier(library, () => {
    throw new Error('cannot find module');
  });
  expect('differs' in opened && opened.differs).toContain('cannot find module');
});

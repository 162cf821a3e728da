import { expect, test } from 'vitest';
import type { Logger } from '../../../src/log.js';
import type { Opened } from '../../../src/rendezvous/sealing.js';
import type { SessionSettings } from '../../../src/session/settings.js';
import { checkUse, ownUse, peerUse, type Use } from '../../../src/session/use.js';

const saying = (caps?: string[]) => (caps ? { extension: { caps } } : {}) as unknown as Opened;
const having = (settings: object) => ownUse(settings as unknown as SessionSettings);

function warnings(own: Use | undefined, peer: Use | undefined): string[] {
  const lines: string[] = [];
  checkUse(own, peer, { warning: (line: string) => lines.push(line) } as unknown as Logger);
  return lines;
}

test('a tunnel toward a peer that starts a program fails at once and names the options of both sides', () => {
  expect(() => warnings('tunnel', 'program')).toThrow(
    expect.objectContaining({
      code: 'TUNNEL_REFUSED',
      hint: expect.stringMatching(/--exec-command.*--export/),
    }),
  );
});

test('a program toward a peer that opens a tunnel is one warning', () => {
  expect(warnings('program', 'tunnel')).toHaveLength(1);
});

test('a plexus, an older awl and a library say nothing and are never refused', () => {
  expect([saying(), saying(['confirm', 'choice'])].map(peerUse)).toEqual([undefined, undefined]);
  for (const own of ['tunnel', 'program', undefined] as const) expect(warnings(own, undefined)).toEqual([]);
  for (const use of ['tunnel', 'program'] as const) expect(warnings(use, use)).toEqual([]);
});

test('tubus meets programs and is not announced as the tunnel', () => {
  expect(having({ tunnel: { tubus: {} } })).toBeUndefined();
  expect(having({ tunnel: {} })).toBe('tunnel');
  expect(having({ exec: {} })).toBe('program');
});

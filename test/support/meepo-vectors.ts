import { readFileSync } from 'node:fs';

const FOLDER = new URL('../fixtures/meepo/', import.meta.url);

/** One capture of the real Meepo 0.7.1. */
export function meepoFixture(name: string): string {
  return readFileSync(new URL(name, FOLDER), 'utf8');
}

export const MEEPO_NODES = ['alice', 'bob', 'eve'] as const;

/** Every packet that the real nodes saw on their sys channels. */
export function capturedPackets(): Buffer[] {
  return MEEPO_NODES.flatMap((name) =>
    [...meepoFixture(`sys-${name}.txt`).matchAll(/^SYS(?:IN|OUT) .*hex=([0-9a-f]+)$/gm)].map(([, hex = '']) =>
      Buffer.from(hex, 'hex'),
    ),
  );
}

/** Every message over Redis: to whom, and its text. */
export function capturedEvents(): { to: string; text: string }[] {
  return [...meepoFixture('redis-psubscribe.txt').matchAll(/^meepo\.engine\.([0-9a-z]{51})\n(\S+)$/gm)].map(
    ([, to = '', text = '']) => ({ to, text }),
  );
}

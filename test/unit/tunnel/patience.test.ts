import { expect, test } from 'vitest';
import type { AwlError } from '../../../src/errors.js';
import { lost } from '../../../src/tunnel/link.js';
import { Patience } from '../../../src/tunnel/patience.js';

function patience(ms: number, breaks?: number) {
  const ended: AwlError[] = [];
  const clock = { now: 5 };
  const made = new Patience({
    ms,
    ...(breaks && { breaks }),
    over: (error) => ended.push(error),
    now: () => clock.now,
  });
  return { patience: made, ended, clock };
}

test('a path that is cut again and again ends the tunnel with an error that says so, not an endless punching', () => {
  const { patience: waits, ended, clock } = patience(600_000, 8);
  for (let cut = 0; cut < 8; cut++) {
    expect(waits.begin(lost('a forged record'))).toBe(true);
    expect(waits.waiting).toBe(true);
    waits.end();
    clock.now += 1000;
  }
  expect(ended).toEqual([]);
  expect(waits.begin(lost('a forged record'))).toBe(false);
  expect(ended).toHaveLength(1);
  expect(ended[0]).toMatchObject({
    code: 'TUNNEL_LOST',
    message: expect.stringMatching(/broke 9 times within 60 s, now because: .*a forged record/),
    hint: expect.stringContaining('forged'),
  });
});

test('a path that breaks every eight seconds is only bad', () => {
  const { patience: waits, ended, clock } = patience(600_000, 8);
  for (let cut = 0; cut < 100; cut++) {
    expect(waits.begin(lost('silence'))).toBe(true);
    waits.end();
    clock.now += 8_000;
  }
  expect(ended).toEqual([]);
});

test('attempts that fail while a path is waited for are no further breaks', () => {
  const { patience: waits, ended } = patience(600_000, 8);
  expect(waits.begin(lost('silence'))).toBe(true);
  for (let attempt = 0; attempt < 100; attempt++) expect(waits.begin(lost('no'))).toBe(false);
  expect(ended).toEqual([]);
  waits.end();
});

test('who may not wait is told at once', () => {
  const { patience: waits, ended } = patience(0);
  const error = lost('silence');
  expect(waits.begin(error)).toBe(false);
  expect(waits.waiting).toBe(false);
  expect(ended).toEqual([error]);
});

test('who waits for the other side does not count: each return is that side’s work', () => {
  const { patience: waits, ended } = patience(600_000);
  for (let cut = 0; cut < 100; cut++) {
    expect(waits.begin(lost('a forged record'))).toBe(true);
    waits.end();
  }
  expect(ended).toEqual([]);
});

import { expect, test } from 'vitest';
import { OPENDHT_SILENT_MAX, OPENDHT_SILENT_WINDOW_MS } from '../../../../src/constants.js';
import { SilenceBudget } from '../../../../src/rendezvous/opendht/silence.js';

const spendAll = (budget: SilenceBudget, address: string, now: number) => {
  let count = 0;
  while (count < 1000 && budget.spend(address, now)) count++;
  return count;
};

test('an address that never answers gets a bounded number of datagrams a minute', () => {
  const budget = new SilenceBudget();
  expect(spendAll(budget, '203.0.113.1', 0)).toBe(OPENDHT_SILENT_MAX);
  expect(spendAll(budget, '203.0.113.1', OPENDHT_SILENT_WINDOW_MS)).toBe(0);
  expect(spendAll(budget, '203.0.113.1', OPENDHT_SILENT_WINDOW_MS + 1)).toBe(OPENDHT_SILENT_MAX);
  expect(spendAll(budget, '203.0.113.2', 0)).toBe(OPENDHT_SILENT_MAX);
});

test('an answer clears the account; nodes of the own machine and network have none', () => {
  const budget = new SilenceBudget();
  spendAll(budget, '203.0.113.1', 0);
  budget.answered('203.0.113.1');
  expect(budget.spend('203.0.113.1', 1)).toBe(true);
  for (const address of ['127.0.0.1', '192.168.1.1', '::1']) expect(spendAll(budget, address, 0)).toBe(1000);
});

test('a hundred thousand addresses do not fill the memory', () => {
  const budget = new SilenceBudget();
  for (let n = 0; n < 100_000; n++) budget.spend(`203.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, 0);
  // The oldest was forgotten: its account begins anew.
  spendAll(budget, '203.1.134.159', 0);
  expect(spendAll(budget, '203.0.0.0', 0)).toBe(OPENDHT_SILENT_MAX);
});

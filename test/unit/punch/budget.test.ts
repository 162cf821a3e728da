import { expect, test } from 'vitest';
import {
  CONFIRM_FRAME_BYTES,
  HANDSHAKE_FRAME_BYTES,
  SILENT_MAX_BYTES,
  SILENT_MAX_DATAGRAMS,
  STRAY_ANSWER_BURST,
  STRAY_MAX_BYTES,
} from '../../../src/constants.js';
import { Budget } from '../../../src/punch/budget.js';

const PEER = '203.0.113.10';

test('a silent peer gets the capped number of openers and no answer', () => {
  const budget = new Budget([PEER]);
  let openers = 0;
  while (budget.admitOpener(PEER)) openers += 1;
  expect(openers).toBe(SILENT_MAX_DATAGRAMS);
  expect(budget.admitAnswer(PEER, 8, false, 0)).toBe(false);
});

test('all that goes to the announced address stays within the constant plus three times what came', () => {
  const budget = new Budget([PEER]);
  let bytes = 0;
  while (budget.admitOpener(PEER)) {
    bytes += budget.admitGreeting(PEER) ? CONFIRM_FRAME_BYTES : HANDSHAKE_FRAME_BYTES;
  }
  budget.credit(PEER, 80);
  while (budget.admitAnswer(PEER, 32, false, 0)) bytes += 32;
  expect(bytes).toBeLessThanOrEqual(SILENT_MAX_BYTES + 3 * 80);
  expect(bytes).toBeGreaterThan(SILENT_MAX_BYTES);
});

test('an address that nobody announced gets little, and nothing before it sent something valid', () => {
  const budget = new Budget([PEER]);
  expect(budget.admitAnswer('198.51.100.1', 8, true, 0)).toBe(false);
  budget.credit('198.51.100.1', 8);
  let bytes = 0;
  while (budget.admitAnswer('198.51.100.1', 32, false, 0)) bytes += 32;
  expect(bytes).toBeLessThanOrEqual(STRAY_MAX_BYTES + 24);
});

test('answers to endpoints that prove nothing come at a steady rate at most', () => {
  const budget = new Budget([PEER]);
  budget.credit(PEER, 1_000_000);
  let count = 0;
  for (let now = 0; now < 10_000; now += 1) if (budget.admitAnswer(PEER, 8, true, now)) count += 1;
  expect(count).toBeLessThanOrEqual(STRAY_ANSWER_BURST + 10 * 20);
  expect(budget.admitAnswer(PEER, 8, false, 10_000)).toBe(true);
});

test('a flood of forged senders does not grow the table', () => {
  const budget = new Budget([PEER]);
  for (let n = 0; n < 5000; n++) budget.credit(`198.51.${n >> 8}.${n & 255}`, 8);
  expect(budget.admitAnswer('198.51.19.100', 8, false, 0)).toBe(false);
  expect(budget.admitAnswer('198.51.0.1', 8, false, 0)).toBe(true);
});

import { expect, test } from 'vitest';
import { Backlog } from '../../../../src/rendezvous/email/backlog.js';

const heads = (...uids: number[]) => uids.map((uid) => ({ uid, bytes: 1, arrivedAt: undefined }));
const uids = (batch: readonly { uid: number }[]) => batch.map(({ uid }) => uid);

test('the newest batch comes first, in order of arrival, and older ones follow until none is left', () => {
  const backlog = new Backlog(1n, 0, 100);
  backlog.add(heads(1, 2, 3, 4, 5));
  const order: number[] = [];
  for (let batch = backlog.next(2); batch.length > 0; batch = backlog.next(2)) {
    order.push(...uids(batch));
    backlog.settle(uids(batch));
  }
  expect(order).toEqual([4, 5, 2, 3, 1]);
});

test('mail that arrives behind a flood overtakes it', () => {
  const backlog = new Backlog(1n, 0, 100);
  backlog.add(heads(1, 2, 3, 4));
  backlog.settle(uids(backlog.next(2)));
  backlog.add(heads(5));
  expect(uids(backlog.next(1))).toEqual([5]);
});

test('what was not settled comes again: a broken connection loses nothing', () => {
  const backlog = new Backlog(1n, 0, 100);
  backlog.add(heads(1, 2));
  expect(backlog.next(10)).toEqual(backlog.next(10));
  expect(backlog.size).toBe(2);
});

test('the mark follows the highest UID, also of mails that had to go', () => {
  const backlog = new Backlog(1n, 7, 2);
  expect(backlog.mark).toBe(7);
  expect(backlog.add(heads(8, 9, 10))).toBe(1);
  expect(backlog.mark).toBe(10);
  expect(uids(backlog.next(5))).toEqual([9, 10]);
});

test('a UID that is pending already is not looked at twice', () => {
  const backlog = new Backlog(1n, 0, 100);
  backlog.add(heads(1));
  backlog.add(heads(1, 2));
  expect(uids(backlog.next(5))).toEqual([1, 2]);
});

test('mails at hand when the connection broke come alone, and one that breaks it thrice is passed over', () => {
  const backlog = new Backlog(1n, 0, 100);
  backlog.add(heads(1, 2, 3));
  expect(backlog.blame([1, 2, 3])).toEqual([]);
  expect(uids(backlog.next(5))).toEqual([3]);
  expect(backlog.blame([3])).toEqual([]);
  expect(backlog.blame([3])).toEqual([]);
  expect(backlog.blame([3])).toEqual([3]);
  expect(uids(backlog.next(5))).toEqual([2]);
  backlog.settle([2]);
  expect(uids(backlog.next(5))).toEqual([1]);
});

test('suspicion ends with the look: later mail goes in batches again', () => {
  const backlog = new Backlog(1n, 0, 100);
  backlog.add(heads(1));
  backlog.blame([1]);
  backlog.settle([1]);
  backlog.add(heads(2, 3));
  expect(uids(backlog.next(5))).toEqual([2, 3]);
});

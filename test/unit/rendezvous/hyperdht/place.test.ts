import { expect, test } from 'vitest';
import {
  answerKey,
  answerSeed,
  gateOf,
  letterId,
  placeOf,
} from '../../../../src/rendezvous/hyperdht/place.js';

const KEY = Buffer.from('certificate of bob');

test('the values of docs/PROTOCOL.md hold, so that another implementation meets us', () => {
  const place = placeOf('ssh', KEY);
  expect(place.topic.toString('hex')).toBe(
    'f47406588242b021ad63111ccfda07f3e5de64bd053db9e89eef03d84e1ea531',
  );
  expect(place.boxKey.toString('hex')).toBe(
    '575c3f53b68c0999e1db1ebf3f53831e843a353029ad8b86f94aec39f0ef7bb7',
  );
  expect(gateOf(place, Buffer.alloc(32, 1)).toString('hex')).toBe('9b43789c4b5fa8d72558849cdc408951');
  const id = letterId(Buffer.from('box'));
  expect(id.toString('hex')).toBe('26f8567f2569182294c3fa5b9f9cb227');
  expect(answerKey(place, id).toString('hex')).toBe(
    '73b4e8fae70536810caa5177ef2d3d98fad6e81dc5ccf2c945801f8cea3edef8',
  );
});

test('places differ by app and by recipient, and their keys differ from what nodes of the DHT see', () => {
  const places = [placeOf('ssh', KEY), placeOf('ssh2', KEY), placeOf('ssh', Buffer.from('carol'))];
  const values = places.flatMap((place) =>
    [place.topic, place.boxKey, place.gateKey].map((b) => b.toString('hex')),
  );
  expect(new Set(values).size).toBe(9);
});

test('a gate fits one acceptor, and an answer’s key one letter: what one saw is of no use elsewhere', () => {
  const place = placeOf('ssh', KEY);
  const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const id = letterId(one);
  expect(gateOf(place, one).equals(gateOf(place, two))).toBe(false);
  expect(answerKey(place, id).equals(answerKey(place, letterId(two)))).toBe(false);
  expect(answerSeed(place, id, one).equals(answerSeed(place, id, two))).toBe(false);
  expect(answerSeed(place, id, one).equals(answerKey(place, id))).toBe(false);
});

test('an app id of the longest kind has a place', () => {
  expect(placeOf('\u{1F600}'.repeat(64), KEY).topic).toHaveLength(32);
});

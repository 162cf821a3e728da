import { expect, test } from 'vitest';
import { limitsFrom, TUBUS_LIMITS } from '../../../../src/tunnel/tubus/limits.js';

test('an environment without TUBUS_ variables changes nothing', () => {
  expect(limitsFrom({ PATH: '/bin' })).toEqual(TUBUS_LIMITS);
});

test("the real one's variables count in its units", () => {
  const limits = limitsFrom({
    TUBUS_MAX_PACKET_SIZE: '1200',
    TUBUS_PING_TIMEOUT: '10',
    TUBUS_SHUTDOWN_TIMEOUT: '500',
    TUBUS_CONNECT_TIMEOUT: '5',
    TUBUS_ACCEPT_TIMEOUT: '6',
    TUBUS_SNIPPET_FLIGHT: '96',
    TUBUS_MOVE_ATTEMPTS: '8',
    TUBUS_RECEIVE_BUFFER_SIZE: '1048576',
    TUBUS_SEND_BUFFER_SIZE: '65536',
  });
  expect(limits).toEqual({
    packetBytes: 1200,
    pingMs: 10_000,
    silenceMs: 15_000,
    shutdownMs: 500,
    connectMs: 5000,
    acceptMs: 6000,
    flight: 96,
    moveAttempts: 8,
    receiveBytes: 1_048_576,
    sendBytes: 65_536,
  });
});

test('values that cannot work are moved to what can, nonsense is passed over', () => {
  const limits = limitsFrom({
    TUBUS_MAX_PACKET_SIZE: '1',
    TUBUS_SNIPPET_FLIGHT: '0',
    TUBUS_SEND_BUFFER_SIZE: '999999999999',
    TUBUS_PING_TIMEOUT: '-5',
    TUBUS_MOVE_ATTEMPTS: 'many',
  });
  expect(limits.packetBytes).toBe(64);
  expect(limits.flight).toBe(1);
  expect(limits.sendBytes).toBe(64 * 1024 * 1024);
  expect([limits.pingMs, limits.moveAttempts]).toEqual([TUBUS_LIMITS.pingMs, TUBUS_LIMITS.moveAttempts]);
});

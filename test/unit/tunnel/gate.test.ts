import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Gate } from '../../../src/tunnel/gate.js';
import type { Tunnel } from '../../../src/tunnel/tunnel.js';

const tunnel = { is: 'a tunnel' } as unknown as Tunnel;
const later = { is: 'a later one' } as unknown as Tunnel;

describe('connections at the gate', () => {
  it('go through the tunnel of now, and wait for the next one while there is none', async () => {
    const gate = new Gate();
    gate.open(tunnel);
    expect(await gate.pass(new Socket())).toBe(tunnel);
    gate.hold();
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (number) => {
      const got = await gate.pass(new Socket());
      order.push(number);
      return got;
    });
    expect(gate.tunnel).toBeUndefined();
    gate.open(later);
    expect(await Promise.all(waiting)).toEqual([later, later, later]);
    expect(order).toEqual([1, 2, 3]);
  });

  it('are closed where too many wait, and who hangs up makes room', async () => {
    const gate = new Gate(2);
    const [first, second, third, fourth] = [new Socket(), new Socket(), new Socket(), new Socket()];
    const passes = [gate.pass(first), gate.pass(second)];
    expect(await gate.pass(third)).toBeUndefined();
    expect(third.destroyed).toBe(true);
    first.destroy();
    expect(await passes[0]).toBeUndefined();
    const last = gate.pass(fourth);
    gate.open(tunnel);
    expect(await Promise.all([passes[1], last])).toEqual([tunnel, tunnel]);
    expect([second, fourth].map(({ destroyed }) => destroyed)).toEqual([false, false]);
  });

  it('do not wait for longer than they may, and not beyond the end', async () => {
    const soon = new Gate(2, 20);
    const socket = new Socket();
    expect(await soon.pass(socket)).toBeUndefined();
    expect(socket.destroyed).toBe(true);
    const gate = new Gate();
    const other = new Socket();
    const pass = gate.pass(other);
    gate.close();
    expect(await pass).toBeUndefined();
    expect(other.destroyed).toBe(true);
  });
});

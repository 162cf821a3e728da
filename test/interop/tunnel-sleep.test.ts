import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { StunServer } from '../../src/stun/server.js';
import { AwlProcess } from '../support/awl.js';
import { LabPair } from '../support/lab-awl.js';
import { serve } from '../support/tunnel.js';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

/** Whose process stands still for as long as it takes until the other one has given the path up. */
const SLEEPERS = ['inviter', 'acceptor', 'both'] as const;

let stun: StunServer;
beforeAll(async () => {
  stun = await StunServer.start({ addresses: ['127.0.0.1'], port: 0, altPort: 0 });
  return () => stun.close();
});

/** A connection through a tunnel of two processes, over which whole words come back. */
async function connected() {
  const pair = await LabPair.make();
  const echo = await serve((socket) => socket.pipe(socket));
  cleanup.push(echo.close);
  const start = (who: 'a' | 'b', ...args: string[]) => {
    const own = [
      `--stun-server=127.0.0.1:${stun.layout.port}`,
      '--stun-client=127.0.0.1',
      '--allow-loopback',
    ];
    const line = pair.line(who, ...own, '--udp-only', '--json', ...args);
    const awl = new AwlProcess(spawn(process.execPath, line, { stdio: ['ignore', 'pipe', 'pipe'] }));
    cleanup.push(() => {
      awl.stop('SIGKILL');
      return awl.ended;
    });
    return awl;
  };
  const acceptor = start('b', '--accept', `--export=${echo.port}`);
  await acceptor.event('listening');
  const free = await serve(() => {});
  await free.close();
  const inviter = start('a', `--import=${free.port}:${echo.port}`);
  await Promise.all([inviter.event('tunnel-open'), acceptor.event('tunnel-open')]);
  const socket = connect(free.port, '127.0.0.1');
  cleanup.push(() => socket.destroy());
  let got = '';
  let ended = false;
  socket.setEncoding('utf8').on('data', (text) => {
    got += text;
  });
  socket
    .on('error', () => {})
    .on('close', () => {
      ended = true;
    });
  const echoes = async (word: string) => {
    socket.write(word);
    await expect.poll(() => (ended ? 'the connection ended' : got), { timeout: 30_000 }).toContain(word);
  };
  await echoes('before;');
  return { inviter, acceptor, echo, echoes };
}

test('a connection outlives the sleep of either machine, or of both, for longer than a silent peer is waited for', async () => {
  const scenes = await Promise.all(SLEEPERS.map(connected));
  for (const [index, who] of SLEEPERS.entries()) {
    for (const side of ['inviter', 'acceptor'] as const) {
      if (who === side || who === 'both') scenes[index]?.[side].stop('SIGSTOP');
    }
  }
  const [first, second] = scenes;
  // What was said meanwhile arrives, too.
  const meanwhile = second?.echoes('while it slept;');
  await Promise.all([first?.acceptor.event('reconnecting'), second?.inviter.event('reconnecting')]);
  for (const scene of scenes) for (const side of [scene.inviter, scene.acceptor]) side.stop('SIGCONT');
  await meanwhile;
  for (const { echoes, echo, inviter, acceptor } of scenes) {
    await echoes('after;');
    expect(echo.sockets.size).toBe(1);
    for (const side of [inviter, acceptor]) expect(side.find('failed'), side.output).toBeUndefined();
  }
  await Promise.all([first, second].map((scene) => scene?.inviter.event('reconnected')));
});

import { describe, expect, test } from 'vitest';
import { meepoScene, SERVER } from '../support/lab-meepo.js';
import { MiniUpnpd } from '../support/miniupnpd.js';
import { needs } from '../support/needs.js';

const ready = needs('root', 'ip', 'nft', 'python3', 'redis-server', 'turnserver', 'miniupnpd');
const TURN_PORT = 3490;

describe.skipIf(!ready)('awl meepo behind two symmetric NATs, with help', () => {
  test('a TURN server carries WebRTC where nothing else does; a port that the router maps is better', async () => {
    const { lab, start } = await meepoScene(
      'meepohelp',
      { a: 'symmetric', b: 'symmetric', publicA: '44.55.66' },
      'redis',
    );
    const turn = [
      ...['-n', `--listening-ip=${SERVER}`, `--relay-ip=${SERVER}`, `--listening-port=${TURN_PORT}`],
      ...['--lt-cred-mech', '--user=meepo:word', '--realm=test', '--no-tls', '--no-dtls', '--no-cli'],
      ...['--allow-loopback-peers', '--log-file=stdout', '--pidfile=/dev/null'],
    ];
    lab.spawn('s', 'turnserver', turn);
    const relayed = await start({
      iceServers: [`turn:meepo:word@${SERVER}:${TURN_PORT}`],
      portMapping: false,
    });
    const first = await relayed.alice.run(...relayed.wanted);
    expect(first.stdout, first.stderr + relayed.alice.output).toContain('Teleport SUCCESS');
    // What the daemon said before the command ended may be read after that.
    const said = (node: { readonly output: string }) => expect.poll(() => node.output, { timeout: 10_000 });
    await said(relayed.alice).toMatch(/transport to .* \(webrtc, awl\)/);
    expect((await relayed.alice.run('ping', relayed.peer)).stdout).toBe('Pong\n');
    await Promise.all([relayed.alice.stop('SIGKILL'), relayed.bob.stop('SIGKILL')]);

    const router = await MiniUpnpd.start(lab, 'nata');
    const { alice, bob, wanted } = await start();
    const second = await alice.run(...wanted);
    expect(second.stdout, second.stderr + alice.output).toContain('Teleport SUCCESS');
    await said(alice).toMatch(/transport to .* \(passage, awl\)/);
    expect(await router.ports()).not.toEqual([]);
    await Promise.all([alice.stop(), bob.stop()]);
    // What was asked for is given back.
    await expect.poll(() => router.ports(), { timeout: 10_000 }).toEqual([]);
  }, 150_000);
});

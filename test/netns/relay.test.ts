import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AWL, type AwlProcess } from '../support/awl.js';
import { Lab } from '../support/lab.js';
import { LabPair } from '../support/lab-awl.js';
import { needs } from '../support/needs.js';
import { tempDir } from '../support/tmp.js';

const ready = needs('root', 'ip', 'nft', 'python3');
const HUB = '192.0.2.10';
const MB4 = 4_000_000;

describe.skipIf(!ready)('a relay between two NATs that let nothing through', () => {
  let lab: Lab;
  let pair: LabPair;
  let sum: string;
  const folder = tempDir();

  /** Runs `awl hub --relay` on the machine in between; resolves when it says that it is ready. */
  async function hub(...args: string[]): Promise<void> {
    const listen = [`--listen=${HUB}`, '--listen=192.0.2.11', `--state-dir=${tempDir()}`];
    const child = lab.spawn('s', process.execPath, [AWL, 'hub', ...listen, '--relay', ...args]);
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const over = once(child, 'exit').then(() => Promise.reject(new Error(said)));
    over.catch(() => {});
    while (!said.includes('the relay serves')) {
      await Promise.race([over, new Promise((resolve) => setTimeout(resolve, 20))]);
    }
  }

  beforeAll(async () => {
    lab = await Lab.up('relay', { a: 'symmetric', b: 'symmetric' });
    pair = await LabPair.make();
    const data = randomBytes(MB4);
    sum = createHash('sha256').update(data).digest('hex');
    writeFileSync(join(folder, 'file'), data);
    const server = `require('net').createServer((s) => s.end(require('fs').readFileSync(process.argv[1]))).listen(8000, '127.0.0.1')`;
    lab.spawn('b', process.execPath, ['-e', server, join(folder, 'file')]);
    await hub(`--app-repo=${pair.repo('a')}`);
  }, 60_000);
  afterAll(() => lab.down());

  const side = (who: 'a' | 'b', ...args: string[]): AwlProcess =>
    pair.start(lab, who, who, `--stun-server=${HUB}`, ...args);

  test('symmetric x symmetric: the tunnel comes up over the relay, is told so on both sides, and carries a file whole', async () => {
    const bob = side('b', '--accept', '--once', '--route=either', '--export=8000');
    await bob.event('listening');
    const alice = side('a', `--relay-server=${HUB}`, '--import=8080:8000');
    await alice.event('tunnel-open');
    for (const one of [alice, bob]) {
      expect(one.find('passage')).toMatchObject({ how: 'relay', confirmed: true, alien: `${HUB}:3480` });
      expect(one.output).toContain(
        `the path leads through the relay ${HUB}:3480, which sees encrypted bytes`,
      );
    }
    const client = `const h = require('crypto').createHash('sha256');
      require('net').connect(8080, '127.0.0.1').on('data', (d) => h.update(d)).on('end', () => console.log(h.digest('hex')));`;
    const got = await lab.run('a', process.execPath, ['-e', client], { timeoutMs: 20_000 });
    expect(got.stdout.trim(), got.stderr + alice.output).toBe(sum);
    alice.stop();
    expect(await alice.ended, alice.output).toBe(0);
    expect(await bob.ended, bob.output).toBe(0);
  });

  test('a program gets the relay as its peer’s address and talks through it', async () => {
    const bob = side('b', '--accept', '--once', '--route=either', ...pair.exec('echo'));
    await bob.event('listening');
    const alice = side('a', `--relay-server=${HUB}`, '--route=relay', ...pair.exec('hello'));
    expect(await alice.ended, alice.output + bob.output).toBe(0);
    expect(alice.find('passage')).toMatchObject({ how: 'relay', alien: `${HUB}:3480` });
    expect(alice.output).toContain('it can read whatever the program does not encrypt');
    bob.stop();
    await bob.ended;
  });

  test('an identity that the hub was not told of is refused, and hears why', async () => {
    const print = '0'.repeat(64);
    const ports = ['--port=4478', '--alt-port=4479', '--node-port=4737', '--relay-port=4480'];
    await hub(...ports, `--relay-allow=${print}`);
    const bob = side('b', '--accept', '--once', '--route=either', ...pair.exec('echo'));
    await bob.event('listening');
    const alice = side('a', `--relay-server=${HUB}:4480`, '--route=relay', ...pair.exec('hello'));
    expect(await alice.ended, alice.output).toBe(69);
    expect(alice.find('failed')).toMatchObject({ code: 'RELAY_REFUSED' });
    expect((await bob.event('failed')).message).toContain('this identity may not use it');
    bob.stop();
    await bob.ended;
  });
});

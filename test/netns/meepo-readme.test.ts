import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isDaemonStatus } from '../../src/meepo/status.js';
import { AWL } from '../support/awl.js';
import { Lab } from '../support/lab.js';
import { ROOT } from '../support/lab-mail.js';
import { until } from '../support/meepo-nodes.js';
import { needs } from '../support/needs.js';

/*
 * Every command line of Meepo's two READMEs (0.6/0.7 in English, the older one in Chinese) as printed, on two machines of a
 * network (alice is a, bob a2) with the standard ports. What stands for the Internet: the real one's default server is a machine of the lab, by /etc/hosts.
 */
const SERVER = 'meepo.redis.signaling.peerstud.io';
/** Tells how it was called, and what the far side says first: by its own TCP connection, or by its ProxyCommand. */
const SSH = `#!/bin/bash
echo "ssh $*"
port=22 host= proxy=
while [ $# -gt 0 ]; do
  case "$1" in
    -p*) port=\${1#-p} ;;
    -o) shift; case "$1" in ProxyCommand=*) proxy=\${1#ProxyCommand=} ;; esac ;;
    *@*) host=\${1#*@} ;;
  esac
  shift
done
if [ -n "$proxy" ]; then
  proxy=\${proxy//%h/$host}; proxy=\${proxy//%p/$port}
  eval "$proxy" </dev/null
else
  exec 3<>"/dev/tcp/$host/$port"; head -1 <&3
fi
`;

describe.skipIf(!needs('root', 'ip', 'nft', 'python3', 'redis-server', 'curl', 'bash'))(
  'both READMEs',
  () => {
    const base = mkdtempSync(join(tmpdir(), 'awl-readme-'));
    const sides = ['a', 'a2'] as const;
    let lab: Lab;

    const env = (who: string) => ({
      HOME: join(base, who),
      PATH: [join(base, 'bin'), join(ROOT, 'scripts'), process.env['PATH']].join(delimiter),
      LANG: 'C.UTF-8',
    });
    /** One line of a README in a shell of that machine; what it printed. */
    const run = (who: 'a' | 'a2', line: string) =>
      lab.run(who, 'bash', ['-c', line], { env: env(who), cwd: join(base, who), timeoutMs: 60_000 });
    const shell = async (who: 'a' | 'a2', line: string) => {
      const { status, stdout, stderr } = await run(who, line);
      if (status !== 0) throw new Error(`${line}: ${status}\n${stdout}${stderr}`);
      return stdout;
    };
    const serve = (who: 'a' | 'a2', command: string, args: readonly string[]) =>
      lab.spawn(who, command, args, { cwd: join(base, who), env: env(who), stdio: 'ignore' });
    const fresh = (who: 'a' | 'a2') => {
      rmSync(join(base, who, '.meepo'), { recursive: true, force: true });
      mkdirSync(join(base, who), { recursive: true });
    };
    const stop = async (who: 'a' | 'a2') => {
      const text = await shell(who, 'meepo status --json').catch(() => '');
      const status: unknown = text === '' ? undefined : JSON.parse(text);
      await shell(who, 'meepo shutdown').catch(() => '');
      if (!isDaemonStatus(status)) return;
      const gone = await until(() => !alive(status.pid), 15_000);
      if (!gone) process.kill(status.pid, 'SIGKILL');
    };

    beforeAll(async () => {
      mkdirSync(join(base, 'bin'));
      writeFileSync(join(base, 'bin/ssh'), SSH);
      chmodSync(join(base, 'bin/ssh'), 0o755);
      const awl = `#!/bin/sh\nexec '${process.execPath}' '${AWL}' "$@"\n`;
      writeFileSync(join(base, 'bin/awl'), awl, { mode: 0o755 });
      lab = await Lab.up('readme', { lanHosts: 2 });
      for (const who of sides) {
        fresh(who);
        // `ip netns exec` lays these over /etc.
        const etc = join('/etc/netns', lab.ns(who));
        mkdirSync(etc, { recursive: true });
        writeFileSync(
          join(etc, 'hosts'),
          `127.0.0.1 localhost\n${lab.addr['s']} ${SERVER} redis.example.org\n`,
        );
        writeFileSync(join(etc, 'resolv.conf'), 'nameserver 127.0.0.1\n');
      }
      const redis = ['--bind', '0.0.0.0', '--protected-mode', 'no', '--save', '', '--dir', base];
      lab.spawn('s', 'redis-server', redis, { stdio: 'ignore' });
      // What alice has: a page on port 80, and something that greets as ssh does.
      mkdirSync(join(base, 'www'));
      writeFileSync(join(base, 'www/index.html'), '<h1>Port 80</h1>\n');
      serve('a', 'python3', ['-m', 'http.server', '80', '--directory', join(base, 'www')]);
      const greeter = `require('net').createServer(s=>s.on('error',()=>{}).end('SSH-2.0-alice\\r\\n')).listen(22,'127.0.0.1')`;
      serve('a', process.execPath, ['-e', greeter]);
    }, 120_000);
    afterAll(async () => {
      if (lab) {
        await Promise.all(sides.map(stop));
        for (const who of sides) rmSync(join('/etc/netns', lab.ns(who)), { recursive: true, force: true });
        await lab.down();
      }
      rmSync(base, { recursive: true, force: true });
    }, 120_000);

    test('docs/MEEPO.md, its lines and what stands between them', { timeout: 240_000 }, async () => {
      sides.forEach(fresh);
      const text = readFileSync(join(ROOT, 'docs/MEEPO.md'), 'utf8');
      const lines = (/```sh\n([\s\S]*?)```/.exec(text)?.[1] ?? '').split('\n').filter(Boolean);
      let id = '';
      let said = '';
      for (const line of lines) {
        const [, who, command] = /^(alice|bob)\$ +(.*)$/.exec(line) ?? [];
        if (who === undefined || command === undefined) {
          // What the last one printed.
          expect(said).toContain(line.startsWith('660p2ra') ? id : line);
          continue;
        }
        said = await shell(who === 'alice' ? 'a' : 'a2', command.replace('660p2ra…', id));
        if (command === 'awl meepo whoami') id = said.trim();
      }
      expect(said).toContain('SSH-2.0-alice');
      expect(await shell('a2', 'curl -s http://127.0.0.1:8080')).toBe('<h1>Port 80</h1>\n');
      const [, sample = ''] = /```\n\$ awl meepo status\n([\s\S]*?)```/.exec(text) ?? [];
      const status = shape(await shell('a2', 'awl meepo status'));
      expect(sample.trim().split('\n')).toHaveLength(5);
      for (const line of shape(sample.replace('source web', 'source tcp:127.0.0.1:80')).trim().split('\n'))
        expect(status).toContain(line);

      // What stands between the lines; a hub is another page's.
      const spans = text.matchAll(/`((?:awl|serve) [^`]+)`/g);
      const inline = [...new Set([...spans].map(([, command = '']) => command))];
      const commands = inline.filter((one) => one.startsWith('awl meepo ') || one === 'awl doctor --meepo');
      const flags = inline.filter((one) => one.startsWith('serve ')).map((one) => one.slice('serve '.length));
      expect([commands.length, flags.length]).toEqual([7, 3]);
      await stop('a2');
      await shell('a2', `awl meepo serve -i meepo.pem ${flags.join(' ')}`);
      expect(await shell('a2', 'curl -s http://127.0.0.1:9470/metrics')).toContain('awl_meepo_transports');
      expect(await shell('a2', 'curl -s http://127.0.0.1:12341/proxy.pac')).toContain('12341');
      const answers: Record<string, string> = {};
      for (const command of commands) {
        answers[command] = await shell('a2', `${command.replace('<id>', id)} </dev/null`);
      }
      expect(answers).toMatchObject({
        'awl meepo --help': expect.stringContaining('teleport'),
        'awl meepo name add alice <id>': `alice.mpo leads to ${id}\n`,
        'awl meepo doctor': expect.stringMatching(/came back after[\s\S]*go to awl only/),
        'awl doctor --meepo': expect.stringMatching(/came back after[\s\S]*go to awl only/),
        'awl meepo ncat alice.mpo 22': 'SSH-2.0-alice\r\n',
      });
      expect(await shell('a2', 'awl status')).toContain('\n  everybody who knows our id may reach');
      const config = readFileSync(join(base, 'a2/.meepo/config.yaml'), 'utf8');
      expect(config).toMatch(
        /portMapping: false[\s\S]*awlSecretsOnly: true|awlSecretsOnly: true[\s\S]*portMapping: false/,
      );
      await Promise.all(sides.map(stop));
      sides.forEach(fresh);
      for (const who of sides) rmSync(join(base, who, 'meepo.pem'));
    });

    test('the English one', { timeout: 240_000 }, async () => {
      // It leaves the configuration to the installation.
      for (const who of sides)
        expect(await shell(who, 'meepo config init')).toBe('Meepo config initialized\n');
      expect(await shell('a', 'meepo serve')).toBe('');
      expect(await shell('a', 'meepo whoami')).toMatch(/^6[0-9a-z]{50}\n$/);
      expect(await shell('a', 'meepo shutdown')).toBe('Meepo shutting down\n');
      expect(await shell('a', 'meepo keygen -f meepo.pem')).toBe('Key generated!\n');
      expect(await shell('a', 'meepo serve -f meepo.pem')).toBe('');
      const id = (await shell('a', 'meepo whoami')).trim();

      await shell('a', 'cat << EOF > index.html\n<h1>Hello World!</h1>\nEOF');
      serve('a', 'python3', ['-m', 'http.server', '8080']);
      await shell('a', 'curl -s --retry-connrefused --retry 30 --retry-delay 1 http://127.0.0.1:8080');
      expect(await shell('a2', 'meepo serve')).toBe('');
      const teleport = `meepo teleport -n alice:http:8080 -l 127.0.0.1:8080 ${id} 127.0.0.1:8080`;
      expect(await shell('a2', teleport)).toBe(
        'Teleport SUCCESS\nEnjoy your teleportation with 127.0.0.1:8080\n',
      );
      const line = '-'.repeat(53);
      expect(await shell('a2', 'meepo teleportation list')).toBe(
        [
          `+-----------------+${line}+--------+--------------------+--------------------+----------+`,
          '|      NAME       |                      TRANSPORT                      | PORTAL |       SOURCE       |        SINK        | CHANNELS |',
          `+-----------------+${line}+--------+--------------------+--------------------+----------+`,
          `| alice:http:8080 | ${id} | source | tcp:127.0.0.1:8080 | tcp:127.0.0.1:8080 |        0 |`,
          `+-----------------+${line}+--------+--------------------+--------------------+----------+`,
          '',
        ].join('\n'),
      );
      expect(await shell('a2', 'curl -s http://127.0.0.1:8080')).toBe('<h1>Hello World!</h1>\n');
      expect(await shell('a2', 'meepo teleportation close alice:http:8080')).toBe(
        'Teleportation is closing\n',
      );
      expect(await shell('a2', `curl -s -x socks5h://127.0.0.1:12341 http://${id}.mpo/`)).toBe(
        '<h1>Port 80</h1>\n',
      );

      // Its file has the first four lines; where nodes signal, the installation's said.
      await shell(
        'a',
        'cat << EOF > meepo.yaml\nmeepo:\n  auth:\n    name: secret\n    secret: AliceAndBob\nEOF',
      );
      await shell(
        'a',
        `printf '  signaling:\\n    name: redis\\n    url: redis://${SERVER}:6379/1\\n' >> meepo.yaml`,
      );
      expect(await shell('a', 'meepo shutdown')).toBe('Meepo shutting down\n');
      // The README's own slip of the pen.
      expect(await shell('a', 'meepo servce --config meepo.yaml --identity-file meepo.pem')).toBe('');
      expect((await shell('a', 'meepo whoami')).trim()).toBe(id);
      const secret = `meepo teleport -n alice-http-80 -s AliceAndBob -l 127.0.0.1:8080 ${id} 127.0.0.1:80`;
      expect(await shell('a2', secret)).toBe(
        'Teleport SUCCESS\nEnjoy your teleportation with 127.0.0.1:8080\n',
      );
      expect(await shell('a2', 'meepo teleportation list')).toContain(
        `| alice-http-80 | ${id} | source | tcp:127.0.0.1:8080 | tcp:127.0.0.1:80 |        0 |\n`,
      );
      expect(await shell('a2', 'curl -s http://127.0.0.1:8080/')).toBe('<h1>Port 80</h1>\n');
      const page = `curl -s -x socks5h://meepo:AliceAndBob@127.0.0.1:12341 http://${id}.mpo`;
      expect(await shell('a2', page)).toBe('<h1>Port 80</h1>\n');
      const proxied = `ssh -o ProxyCommand='meepo ncat --proxy-type socks5 --proxy 127.0.0.1:12341 --proxy-auth meepo:AliceAndBob %h %p' bob@${id}.mpo`;
      expect(await shell('a2', proxied)).toContain('\nSSH-2.0-alice\r\n');
      await Promise.all(sides.map(stop));
    });

    test('the Chinese one, with a name for the peer', { timeout: 240_000 }, async () => {
      sides.forEach(fresh);
      const quiet = '2>/dev/null';
      expect(await shell('a', `meepo config init id=alice ${quiet}`)).toBe('Meepo config initialized\n');
      expect(await shell('a', 'meepo serve')).toBe('');
      const id = (await shell('a', 'meepo whoami')).trim();
      expect(await shell('a2', 'meepo config init id=bob 2>&1')).toContain('id means nothing any more');
      expect(await shell('a2', 'meepo serve')).toBe('');
      // Names were free once; now the peer's key has one.
      expect(await shell('a2', `meepo name add alice ${id}`)).toBe(`alice.mpo leads to ${id}\n`);

      const opened = await shell('a2', 'eval $(meepo ssh bob@alice)');
      expect(opened).toMatch(
        /^ssh -p\d+ -o StrictHostKeyChecking=no -o UserKnownHostsFile=\/dev\/null bob@127\.0\.0\.1\n/,
      );
      expect(opened).toContain('SSH-2.0-alice');
      expect(await shell('a2', 'eval $(meepo ssh -- bob@alice)')).toContain('SSH-2.0-alice');
      // On loopback, where the old one listened everywhere.
      expect(await shell('a2', 'meepo teleport -n http -l :8080 alice :80')).toBe(
        'Teleport SUCCESS\nEnjoy your teleportation with 127.0.0.1:8080\n',
      );
      expect(await shell('a2', 'curl -s http://127.0.0.1:8080')).toBe('<h1>Port 80</h1>\n');
      expect((await shell('a2', 'meepo teleportation list')).replace(/ +/g, ' ')).toContain(
        `| http | ${id} | source | tcp:127.0.0.1:8080 | tcp::80 | 0 |\n`,
      );
      expect(await shell('a2', 'meepo teleportation close http')).toBe('Teleportation is closing\n');
      expect(await shell('a2', 'curl -s -x socks5h://127.0.0.1:12341 http://alice.mpo/')).toBe(
        '<h1>Port 80</h1>\n',
      );

      expect(await shell('a2', 'meepo config set asSignaling=true')).toBe('');
      const socks =
        "meepo config set proxy.socks5=file://<(echo 'aG9zdDogMTI3LjAuMC4xCnBvcnQ6IDEyMzQxCg=='|base64 -d)";
      expect(await shell('a2', socks)).toBe('');
      expect(await shell('a2', 'meepo config get proxy.socks5')).toBe('host: 127.0.0.1\nport: 12341\n');
      expect(await shell('a', 'meepo config set auth.secret=AliceAndBob')).toBe('');
      const exported = await shell('a', 'meepo config get auth | base64');
      expect(exported).toBe('bmFtZTogc2VjcmV0CnNlY3JldDogQWxpY2VBbmRCb2IK\n');
      const imported = `meepo config set auth=file://<(echo '${exported.trim()}' | base64 -d)`;
      expect(await shell('a2', imported)).toBe('');
      expect(await shell('a2', `bash -c "${imported}"`)).toBe('');
      expect(readFileSync(join(base, 'a2/.meepo/config.yaml'), 'utf8')).toContain('secret: AliceAndBob\n');
      await shell('a2', 'meepo transport close alice');
      expect(await shell('a2', 'meepo transport new alice')).toBe('Transport creating\n');
      let listed = '';
      for (
        const end = performance.now() + 20_000;
        performance.now() < end && !listed.includes('connected');
      ) {
        listed = await shell('a2', 'meepo transport list');
      }
      expect(listed).toContain(`| ${id} | connected |\n`);
    });
  },
);

/** The same for every node: without ids, numbers, times, and whether there is one or more. */
function shape(text: string): string {
  return text
    .replace(/\b6[0-9a-z]{6,}…?/g, 'ID')
    .replace(/(?:\d+ (?:h|min|s)\b ?)+/g, 'TIME')
    .replace(/[\d.]+ [kMG]?B\b/g, 'SIZE')
    .replace(/\d+/g, 'N')
    .replace(/\b(connection|channel|transport|request)s\b/g, '$1');
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AwlProcess } from '../support/awl.js';
import { Lab } from '../support/lab.js';
import { LabPair } from '../support/lab-awl.js';
import { needs } from '../support/needs.js';
import { tempDir } from '../support/tmp.js';

const ready = needs('root', 'ip', 'nft', 'python3', 'sshd', 'ssh', 'scp', 'ssh-keygen');
const SSHD_PORT = 2222;
const FILE_BYTES = 100_000_000;

/**
 * A person at a terminal of 33 lines and 111 columns: runs the arguments there, types, waits for the answers, makes the
 * window larger. Prints what was on the screen; the exit status is that of the program.
 */
const PERSON = String.raw`
import fcntl, os, pty, re, select, struct, sys, termios, time
def size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
pid, fd = pty.fork()
if pid == 0:
    os.environ['TERM'] = 'dumb'
    size(0, 33, 111)
    os.execvp(sys.argv[1], sys.argv[1:])
screen = ''
def look(seconds):
    global screen
    if select.select([fd], [], [], seconds)[0]:
        try:
            screen += os.read(fd, 4096).decode(errors='replace')
        except OSError:
            return False
    return True
def typed(text, answer, again=30):
    """Types until the answer is there: a shell that is still starting may swallow what comes early."""
    start = len(screen)
    for _ in range(again):
        os.write(fd, text.encode())
        limit = time.monotonic() + 2
        while time.monotonic() < limit:
            if not look(0.1):
                break
            if re.search(answer, screen[start:]):
                return
    print(screen)
    sys.exit('no answer to ' + repr(text))
typed('echo shell $((6 * 7))\r', r'shell 42')
typed('tty; stty size\r', r'/dev/pts/\d+\s+33 111')
size(fd, 44, 122)
typed('stty size\r', r'44 122')
typed('echo begun $((50 + 5)); sleep 1000\r', r'begun 55')
# The shell may not have gone to sleep yet, and take the interrupt itself: then it is pressed again.
typed('\x03 echo after $((40 + 4))\r', r'\^C(.|\s)*after 44')
os.write(fd, b'exit 7\r')
while look(20):
    pass
print(screen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/** a -- NAT (port-restricted) -- 6 routers, 5 ms and 1 % loss each way -- NAT (port-restricted) -- b, where sshd runs */
describe.skipIf(!ready)(
  'ssh with awl --stdio as its ProxyCommand, through two kernel NATs and 1 % loss',
  () => {
    const folder = tempDir();
    let lab: Lab;
    let bob: AwlProcess;
    let options: string[];

    beforeAll(async () => {
      const pair = await LabPair.make();
      lab = await Lab.up('ssh', {
        a: 'port-restricted',
        b: 'port-restricted',
        hops: 6,
        delay: '5ms',
        loss: '1%',
      });
      await lab.stun();
      startSshd();
      const stun = '--stun-server=192.0.2.10';
      bob = pair.start(lab, 'b', 'b', stun, '--accept', `--export=${SSHD_PORT}`);
      await bob.event('listening');
      const proxy = [
        process.execPath,
        ...pair.line('a', stun, '--log-level=error', `--stdio=${SSHD_PORT}`),
      ].join(' ');
      options = [
        ['ProxyCommand', proxy],
        ['IdentityFile', join(folder, 'user')],
        ['IdentitiesOnly', 'yes'],
        ['UserKnownHostsFile', '/dev/null'],
        ['StrictHostKeyChecking', 'no'],
        ['BatchMode', 'yes'],
        ['LogLevel', 'ERROR'],
      ].flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    }, 60_000);
    afterAll(async () => {
      await lab?.down();
    });

    function startSshd(): void {
      // sshd insists on this folder of the system, where it locks itself in before a login.
      if (!existsSync('/run/sshd')) mkdirSync('/run/sshd', { mode: 0o755 });
      for (const key of ['host', 'user']) {
        execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, key)]);
      }
      writeFileSync(
        join(folder, 'sshd_config'),
        [
          `HostKey ${join(folder, 'host')}`,
          `AuthorizedKeysFile ${join(folder, 'user.pub')}`,
          `Port ${SSHD_PORT}`,
          'ListenAddress 127.0.0.1',
          'PidFile none',
          'UsePAM no',
          'StrictModes no',
          'PermitRootLogin yes',
          'PasswordAuthentication no',
          'Subsystem sftp internal-sftp',
        ].join('\n'),
      );
      lab.spawn('b', '/usr/sbin/sshd', ['-D', '-f', join(folder, 'sshd_config')], { stdio: 'ignore' });
    }

    async function sumOf(file: string): Promise<string> {
      const hash = createHash('sha256');
      for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
      return hash.digest('hex');
    }

    test('an interactive shell has a terminal of its own: its size, a size that changes, and Ctrl-C get through', async () => {
      const words = ['-c', PERSON, 'ssh', '-F', 'none', ...options, 'root@nas'];
      const { status, stdout, stderr } = await lab.run('a', 'python3', words, { timeoutMs: 80_000 });
      expect(status, stdout + stderr + bob.output).toBe(7);
      expect(stdout).toMatch(/\/dev\/pts\/\d+\s+33 111/);
      expect(stdout).toContain('44 122');
    });

    test('scp brings 100 MB over, bit for bit', async () => {
      const [file, copy] = [join(folder, 'file'), join(folder, 'copy')];
      writeFileSync(file, randomBytes(FILE_BYTES));
      const words = ['-F', 'none', '-q', ...options, `root@nas:${file}`, copy];
      const scp = await lab.run('a', 'scp', words, { timeoutMs: 80_000 });
      expect(scp.status, scp.stderr + bob.output).toBe(0);
      expect(await sumOf(copy)).toBe(await sumOf(file));
      bob.stop();
      expect(await bob.ended, bob.output).toBe(0);
    });
  },
);

import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseLine } from '../../../src/cli/parse.js';
import { runService, type ServicePlace } from '../../../src/cli/service.js';
import { silentLogger } from '../../../src/log.js';
import { collectingIo, valuesOf } from '../../support/cli.js';
import { cronCommand, systemdWords, unitValues } from '../../support/service-syntax.js';
import { tempDir } from '../../support/tmp.js';

const ACCEPT = ['--accept', '--app-id=ssh', '--stun-server=s', '--exec-command=./serve.sh'];
const PROGRAM = ['/usr/bin/node', '/usr/lib/awl/main.js'] as const;

function machine(more: Partial<ServicePlace> = {}): ServicePlace {
  const root = tempDir();
  const place = { program: PROGRAM, cwd: '/srv/nas', home: join(root, 'home'), root: true, ...more };
  mkdirSync(join(root, 'system'));
  return { systemFolder: join(root, 'system'), ...place };
}

/** `awl service` with these words on a machine of its own. */
async function service(argv: readonly string[], place = machine(), env: Record<string, string> = {}) {
  const io = collectingIo(env);
  const whole = ['service', ...argv];
  const { operands } = parseLine(whole);
  const signal = new AbortController().signal;
  const context = { options: valuesOf(whole), operands, io, log: silentLogger, signal };
  // A thrown error and a rejection are the same to the caller.
  const status = await (async () => runService(context, place))();
  return { status, out: io.out, err: io.err };
}

describe('awl service print', () => {
  test('systemd is what is meant; the command comes back word by word, in the folder where it was typed', async () => {
    const args = [...ACCEPT, '--exec-args=%innerip% "$x" \\;', '--host-info=me@example.org/nas'];
    const { status, out, err } = await service(['print', '--', ...args]);
    expect(status).toBe(0);
    expect(systemdWords(unitValues(out, 'ExecStart')[0] ?? '')).toEqual([...PROGRAM, ...args]);
    expect(unitValues(out, 'WorkingDirectory')).toEqual(['/srv/nas']);
    expect(unitValues(out, 'Description')).toEqual(['awl: accept ssh as me@example.org/nas']);
    expect(unitValues(out, 'StateDirectory')).toEqual(['awl-ssh']);
    expect(err).toMatch(/systemctl daemon-reload\n.*systemctl enable --now awl-ssh\n/s);
    expect(await service(['print', 'systemd', '--', 'awl', ...args])).toMatchObject({ out });
  });

  test('folders that options name for writing stay writable, up to their wildcards', async () => {
    const paths = ['--exec-pwd=/var/work', '--exec-log=logs/%peerpin%.log', '--log-file=/var/log/awl/x.log'];
    const { out } = await service(['print', '--', ...ACCEPT, ...paths, '--state-dir=~/state'], {
      ...machine(),
      home: '/home/me',
    });
    expect(unitValues(out, 'ReadWritePaths')).toEqual([
      '-/run -/var/work/logs -/var/log/awl -/var/work -/home/me/state',
    ]);
    expect(unitValues(out, 'StateDirectory')).toEqual([]);
  });

  test('a shared folder in /tmp keeps /tmp common', async () => {
    const { out } = await service(['print', '--', ...ACCEPT, '--file-dir=/tmp/box']);
    expect(unitValues(out, 'PrivateTmp')).toEqual(['no']);
  });

  test('options of a file count, too', async () => {
    const folder = tempDir();
    writeFileSync(join(folder, 'nas.ini'), 'accept=true\napp-id=nas\nstate-dir=/var/nas\n');
    const { out } = await service(['print', '--', '--config=nas.ini'], machine({ cwd: folder }));
    expect(unitValues(out, 'Description')).toEqual(['awl: accept nas']);
    expect(unitValues(out, 'ReadWritePaths')).toEqual(['-/run -/var/nas']);
    await expect(service(['print', '--', '--config=none.ini'])).rejects.toMatchObject({
      code: 'CONFIG_UNREADABLE',
    });
  });

  test('of many acceptors in one process all files count', async () => {
    const folder = tempDir();
    writeFileSync(join(folder, 'all.ini'), 'state-dir=/var/nas\n');
    writeFileSync(join(folder, 'one.ini'), 'app-id=one\nexec-log=/var/one/%peerid%\n');
    writeFileSync(join(folder, 'two.ini'), 'app-id=two\napp-repo=/home/two\n');
    const line = ['print', '--', 'serve', '--config=all.ini', 'one.ini', 'two.ini'];
    const { out } = await service(line, machine({ cwd: folder }));
    expect(unitValues(out, 'Description')).toEqual(['awl serve']);
    expect(unitValues(out, 'WorkingDirectory')).toEqual([folder]);
    expect(unitValues(out, 'ReadWritePaths')).toEqual(['-/run -/var/one -/var/nas']);
    await expect(service(['print', '--', 'serve', 'none.ini'])).rejects.toMatchObject({
      code: 'CONFIG_UNREADABLE',
    });
  });

  test('a hub runs as an account of its own and needs no folder', async () => {
    const { out } = await service(['print', '--', 'hub', '--listen=203.0.113.1']);
    expect(unitValues(out, 'DynamicUser')).toEqual(['yes']);
    expect(unitValues(out, 'WorkingDirectory')).toEqual([]);
    const nvm = machine({ program: ['/root/.nvm/node', '/root/awl/main.js'] });
    const own = await service(['print', '--', 'hub', '--listen=203.0.113.1'], nvm);
    expect(unitValues(own.out, 'DynamicUser')).toEqual([]);
  });

  test('settings of this shell that the service will not have are told', async () => {
    const env = { AWL_EMAIL_PASSWORD: 'very-secret', AWL_ROLE: 'accept', HOME: '/' };
    const { err } = await service(['print', '--', ...ACCEPT], machine(), env);
    expect(err).toMatch(/warning: AWL_EMAIL_PASSWORD is set here/);
    expect(err).not.toMatch(/AWL_ROLE|very-secret/);
  });
});

describe('awl service print cron', () => {
  test('an acceptor each minute, which says nothing as long as one is running', async () => {
    const { out } = await service(['print', 'cron', '--', ...ACCEPT, '--exec-args=%peerip%']);
    expect(out).toMatch(/^(?:\* ){5}cd \/srv\/nas && exec .*'--exec-args=\\%peerip\\%'\n$/);
    expect(cronCommand(out)).toContain(' --log-level=warning --accept ');
    const quiet = await service(['print', 'cron', '--', ...ACCEPT, '--log-file=/l']);
    expect(quiet.out).not.toContain('--log-level');
  });

  test.each([
    [['print', 'cron', '--', ...ACCEPT.slice(1)], /one more of this each minute/],
    [['print', 'cron', '--', 'hub', '--listen=203.0.113.1'], /one more of this each minute/],
    [['install', 'cron', '--', ...ACCEPT], /does not change your crontab/],
  ])('%j is refused', async (argv, message) => {
    await expect(service(argv)).rejects.toThrow(message);
  });
});

describe('awl service install', () => {
  test('root installs for the machine; what is there stays without --replace', async () => {
    const place = machine();
    const file = join(place.systemFolder, 'awl-ssh.service');
    const { out, err } = await service(['install', '--', ...ACCEPT], place);
    expect(out).toBe(`wrote ${file}\n`);
    expect(err).toMatch(/next:\n {2}systemctl daemon-reload\n/);
    expect(lstatSync(file).mode & 0o777).toBe(0o644);
    const before = readFileSync(file, 'utf8');
    await expect(service(['install', '--', ...ACCEPT, '--once'], place)).rejects.toMatchObject({
      code: 'FILE_EXISTS',
      hint: expect.stringContaining('--replace'),
    });
    expect(readFileSync(file, 'utf8')).toBe(before);
    const again = await service(['install', '--replace', '--', ...ACCEPT, '--once'], place);
    expect(again.err).toContain('systemctl restart awl-ssh');
    expect(readFileSync(file, 'utf8')).toContain('--once');
  });

  test('a link in the place of the unit is replaced and not followed', async () => {
    const place = machine();
    const target = join(place.systemFolder, 'target');
    writeFileSync(target, 'precious');
    symlinkSync(target, join(place.systemFolder, 'x.service'));
    await service(['install', '--replace', '--name=x.service', '--', ...ACCEPT], place);
    expect(readFileSync(target, 'utf8')).toBe('precious');
    expect(lstatSync(join(place.systemFolder, 'x.service')).isFile()).toBe(true);
  });

  test('everybody else installs for their own login', async () => {
    const place = machine({ root: false });
    const { out, err } = await service(['install', '--name=nas', '--', ...ACCEPT], place);
    const file = join(place.home, '.config/systemd/user/nas.service');
    expect(out).toBe(`wrote ${file}\n`);
    expect(readFileSync(file, 'utf8')).toContain('WantedBy=default.target');
    expect(err).toMatch(/systemctl --user enable --now nas\n.*enable-linger/s);
    const config = await service(['print', '--', ...ACCEPT], place, { XDG_CONFIG_HOME: '/conf' });
    expect(config.err).toContain('/conf/systemd/user/awl-ssh.service');
  });

  test('a place where nobody may write is said, with the way out', async () => {
    const place = machine({ systemFolder: '/proc/none' });
    await expect(service(['install', '--', ...ACCEPT], place)).rejects.toMatchObject({
      code: 'FILE_WRITE',
      hint: expect.stringContaining('awl service print'),
    });
  });
});

describe('mistakes show before anything is written', () => {
  test.each([
    [['--email-password=very-secret'], 'USAGE_BAD_VALUE', /--email-password would show/],
    [['--email-passwd', 'very-secret'], 'USAGE_BAD_VALUE', /--email-passwd would show/],
    [['--exec-comand=x'], 'USAGE_UNKNOWN_OPTION', /no option --exec-comand/],
    [['--punch-hops=0'], 'USAGE_BAD_VALUE', /--punch-hops is "0"/],
    [['--once', '--accept=false'], 'USAGE_BAD_VALUE', /given twice|says the same/],
    [['stray'], 'USAGE_UNKNOWN_COMMAND', /"stray" is neither/],
    [['--help'], 'USAGE_BAD_VALUE', /nothing that runs for ever/],
  ])('%j', async (args, code, message) => {
    const failed = service(['install', '--', ...ACCEPT, ...args]);
    await expect(failed).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(failed).rejects.not.toMatchObject({ message: expect.stringContaining('very-secret') });
  });

  test.each([
    [[], /needs to know what to do/],
    [['start'], /awl service has no "start"/],
    [['print'], /needs the command line/],
    [['print', '--', 'id', 'list'], /awl id is nothing that runs for ever/],
    [['print', '--', 'doctor', '--stun-server=s'], /nothing that runs for ever/],
    [['print', '--name=../x', '--', ...ACCEPT], /--name is "..\/x"/],
    [['print', '--user=a b', '--', ...ACCEPT], /--user is "a b"/],
  ])('%j', async (argv, message) => {
    await expect(service(argv)).rejects.toThrow(message);
  });

  test('another account can be named by root alone', async () => {
    const own = machine({ root: false });
    await expect(service(['print', '--user=nobody', '--', ...ACCEPT], own)).rejects.toThrow(/needs root/);
    const { out } = await service(['print', '--user=nobody', '--', ...ACCEPT]);
    expect(unitValues(out, 'User')).toEqual(['nobody']);
  });
});

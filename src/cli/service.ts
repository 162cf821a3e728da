import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AwlError, errorText } from '../errors.js';
import type { CommandContext } from './command.js';
import { type Io, oneLine } from './io.js';
import { warn } from './prepare.js';
import { type ServiceCommand, serviceSpec } from './service-spec.js';
import { cronLine, shellWord, systemdUnit } from './service-text.js';

/** What the command needs to know of this machine. */
export interface ServicePlace {
  /** Absolute paths of the interpreter and of awl itself. */
  readonly program: readonly [interpreter: string, script: string];
  readonly cwd: string;
  readonly home: string;
  /** root installs for the machine, everybody else for themselves. */
  readonly root: boolean;
  /** Where units of the machine live. */
  readonly systemFolder: string;
}

const USAGE = 'awl service print|install [systemd|cron] [--name=NAME] -- AWL-ARGUMENTS';

type Form = 'print' | 'install';

/** `awl service print|install`: a command line of awl as a service of this machine. */
export function runService({ options, operands, io }: CommandContext, place: ServicePlace): Promise<number> {
  const name = options.text('name');
  const user = options.text('user');
  const { form, kind, args } = readWords(operands);
  const wanted: ServiceCommand = {
    args,
    ...(name !== undefined && { name }),
    ...(user !== undefined && { user }),
  };
  return kind === 'cron'
    ? printCron(form, wanted, io, place)
    : systemd(form, wanted, io, place, options.flag('replace'));
}

function readWords(operands: readonly string[]): { form: Form; kind: 'systemd' | 'cron'; args: string[] } {
  const [form, ...rest] = operands;
  if (form !== 'print' && form !== 'install') {
    const problem = form === undefined ? 'awl service needs to know what to do' : undefined;
    throw new AwlError(
      form === undefined ? 'USAGE_MISSING' : 'USAGE_UNKNOWN_COMMAND',
      problem ?? `awl service has no "${oneLine(form ?? '').slice(0, 64)}"`,
      { hint: USAGE },
    );
  }
  const [kind] = rest;
  if (kind === 'systemd' || kind === 'cron') return { form, kind, args: rest.slice(1) };
  return { form, kind: 'systemd', args: rest };
}

async function printCron(form: Form, wanted: ServiceCommand, io: Io, place: ServicePlace): Promise<number> {
  if (form === 'install') {
    throw new AwlError('USAGE_BAD_VALUE', 'awl does not change your crontab', {
      hint: 'add what awl service print cron prints with: crontab -e',
    });
  }
  const { spec, warnings } = serviceSpec({ ...wanted, quiet: true }, io.env, place);
  // Each minute a new one: only a second acceptor knows that it is one.
  if (!spec.accepts) {
    throw new AwlError('USAGE_BAD_VALUE', 'cron would start one more of this each minute', {
      hint: 'add --accept, or use systemd: awl service print systemd -- ...',
    });
  }
  for (const warning of warnings) warn(io, warning);
  io.stdout(cronLine(spec));
  io.stderr('next: add this line with crontab -e\n');
  return 0;
}

async function systemd(
  form: Form,
  wanted: ServiceCommand,
  io: Io,
  place: ServicePlace,
  replace: boolean,
): Promise<number> {
  const { spec, warnings } = serviceSpec(wanted, io.env, place);
  const text = systemdUnit(spec);
  for (const warning of warnings) warn(io, warning);
  const system = spec.scope === 'system';
  const config = io.env['XDG_CONFIG_HOME'];
  const base = config?.startsWith('/') ? config : join(place.home, '.config');
  const folder = system ? place.systemFolder : join(base, 'systemd', 'user');
  const file = join(folder, `${spec.name}.service`);
  const control = system ? 'systemctl' : 'systemctl --user';
  const start = [
    `${control} daemon-reload`,
    `${control} enable --now ${spec.name}`,
    ...(system ? [] : ['loginctl enable-linger   # so that it also runs while you are not logged in']),
  ];
  if (form === 'print') {
    io.stdout(text);
    io.stderr(`next: save this as ${file} (awl service install does), then:\n`);
  } else {
    if (!system) await mkdir(folder, { recursive: true }).catch(() => {});
    await writeUnit(file, text, replace);
    io.stdout(`wrote ${oneLine(file)}\n`);
    io.stderr('next:\n');
  }
  for (const line of start) io.stderr(`  ${line}\n`);
  if (form === 'install' && replace) io.stderr(`  ${control} restart ${shellWord(spec.name)}\n`);
  return 0;
}

/** Written beside and renamed: systemd never sees half a unit, and a link in its place is not followed. */
async function writeUnit(file: string, text: string, replace: boolean): Promise<void> {
  const beside = replace ? `${file}.${randomUUID()}` : file;
  try {
    const handle = await open(beside, 'wx', 0o644);
    try {
      await handle.writeFile(text);
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
    if (replace) await rename(beside, file);
  } catch (error) {
    if (replace) await rm(beside, { force: true });
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') {
      throw new AwlError('FILE_EXISTS', `${file} is already there`, {
        hint: 'take its place with --replace, or choose another --name',
      });
    }
    throw new AwlError('FILE_WRITE', `cannot write ${file}: ${errorText(error)}`, {
      hint: 'awl service print shows the text, to be saved where you may write',
      cause: error,
    });
  }
}

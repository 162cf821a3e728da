import { basename } from 'node:path';
import { AwlError, errorText, isAwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import { StatusBoard } from '../session/board.js';
import { LinkPool } from '../session/link-pool.js';
import { NatWatches } from '../session/nat-watch.js';
import { runAcceptor } from '../session/run.js';
import type { AcceptorSettings } from '../session/settings.js';
import type { CommandContext } from './command.js';
import { type ConfigFile, readConfig } from './config.js';
import { fitHeapForTraffic } from './heap.js';
import { jsonLine, oneLine } from './io.js';
import { fromEnvironment, mergeLevels } from './merge.js';
import { warn } from './prepare.js';
import { nameText, showToOthers } from './session.js';
import { sessionSettings } from './settings.js';
import type { Assignment } from './source.js';
import type { OptionValues } from './values.js';

interface Service {
  /** File name without `.ini`. */
  readonly name: string;
  readonly file: string;
  readonly options: OptionValues;
  readonly settings: AcceptorSettings;
}

/**
 * `awl serve`: one acceptor for each file, all in this process and on one DHT node a network. Nothing starts before
 * all files are understood; after that none of them ends another.
 * @returns 0 after a clean stop, else the status of the first that failed
 * @throws AwlError USAGE_*, CONFIG_*
 */
export async function runServe(context: CommandContext): Promise<number> {
  const { io, log, signal } = context;
  const services = await readServices(context);
  if (services.some(({ settings }) => settings.tunnel)) fitHeapForTraffic();
  const pool = new LinkPool();
  const nats = new NatWatches(signal);
  const json = context.options.flag('json');
  const statuses = await Promise.all(
    services.map(async ({ name, options, settings }) => {
      const one = log.child(name);
      const board = new StatusBoard({
        mode: 'accept',
        app: settings.app,
        host: nameText(settings.host),
        peer: nameText(settings.peer),
      });
      try {
        return await runAcceptor({
          ...settings,
          log: one,
          signal,
          stdio: 'quiet',
          pool,
          nats,
          board,
          beside: () => showToOthers({ options, io, log: one }, board, settings.stateDir),
          onEvent: (event) => {
            board.take(event);
            if (json) jsonLine(io, { ...event, service: name });
          },
        });
      } catch (error) {
        if (signal.aborted) return 0;
        const known = isAwlError(error)
          ? error
          : new AwlError('INTERNAL', errorText(error), { cause: error });
        const { code, message, hint, exitCode } = known;
        one.error(`${code}: ${message}${hint ? ` (${hint})` : ''}; the others go on`);
        if (json) jsonLine(io, { event: 'failed', code, message, ...(hint && { hint }), service: name });
        return exitCode;
      }
    }),
  );
  return statuses.find((status) => status !== 0) ?? 0;
}

async function readServices({ operands, options, io, signal }: CommandContext): Promise<Service[]> {
  if (operands.length === 0) {
    throw new AwlError('USAGE_MISSING', 'awl serve needs the files of what it is to serve', {
      hint: 'each is a configuration file as of awl --accept --config=FILE: awl serve nas.ini printer.ini',
    });
  }
  const common = options.text('config');
  const below: ConfigFile = common === undefined ? NOTHING : readConfig(common, 'session');
  const services: Service[] = [];
  for (const file of operands) {
    const own = readConfig(file, 'session');
    const level = [...own.assignments.filter(({ name }) => name !== 'accept'), ACCEPTING];
    const values = mergeLevels([fromEnvironment(io.env, 'session'), level, below.assignments]);
    const { settings, warnings } = await sessionSettings(values, io.env, signal);
    const service = { name: basename(file).replace(/\.ini$/, ''), file, options: values, settings };
    const rival = services.find((other) => other.name === service.name || sameDesk(other.settings, settings));
    if (rival) {
      const what = rival.name === service.name ? 'have the same name' : `both accept ${deskOf(settings)}`;
      throw refused(file, `and ${oneLine(rival.file)} ${what}`, 'leave one of them out');
    }
    for (const text of [...own.warnings, ...warnings]) warn(io, `${service.name}: ${text}`);
    services.push(service);
  }
  return services;
}

const NOTHING: ConfigFile = { assignments: [], warnings: [] };

/** Stands with what each file says, so that what cannot be beside it is an error. */
const ACCEPTING: Assignment = { name: 'accept', value: 'true', source: { kind: 'argv', as: 'accept' } };

function deskOf({ app, host }: AcceptorSettings): string {
  return `${app} for ${formatName(host)}`;
}

/** Two that would take each other's invitations, and each other's lock. */
function sameDesk(a: AcceptorSettings, b: AcceptorSettings): boolean {
  return deskOf(a) === deskOf(b) && a.stateDir === b.stateDir;
}

function refused(file: string, problem: string, hint: string): AwlError {
  return new AwlError('USAGE_CONFLICT', `${oneLine(file)} ${problem}`, { hint });
}

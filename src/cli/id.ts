import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { IDENTITY_RSA_BITS } from '../constants.js';
import { AwlError } from '../errors.js';
import { formatName, type IdentityName, parseName } from '../identity/names.js';
import { createIdentity, exportIdentity, type Onboarded, trustIdentity } from '../identity/onboarding.js';
import { AppRepository } from '../identity/repository.js';
import { formatFingerprint } from '../identity/x509.js';
import { collectBundle, writeNewFile } from './id-files.js';
import { identityJson, identityTable } from './id-table.js';
import { ID_USAGE, parseWords, requiredWord, textValue } from './id-words.js';
import { oneLine } from './io.js';

/** What `awl id` touches of the process. */
export interface IdIo {
  stdout(text: string): void;
  stderr(text: string): void;
  readonly cwd: string;
  readonly now: Date;
  /** One JSON object a line on stdout instead of words. */
  readonly json: boolean;
  /** The app repository as the user named it. */
  readonly repo: string;
  /** Default: the standard input of the process. */
  readonly stdin?: AsyncIterable<Uint8Array | string>;
}

/**
 * `awl id init|export|trust|list`: the words after `id`.
 * @returns the exit status
 * @throws AwlError what the caller prints with its hint
 */
export async function runId(args: string[], io: IdIo): Promise<number> {
  const [command, ...rest] = args;
  const repo = resolve(io.cwd, io.repo);
  switch (command) {
    case 'init':
      return init(rest, repo, io);
    case 'export':
      return bundle(rest, repo, io);
    case 'trust':
      return trust(rest, repo, io);
    case 'list':
      return list(rest, repo, io);
    case undefined:
      throw new AwlError('USAGE_MISSING', 'awl id needs to know what to do', { hint: ID_USAGE });
    default:
      throw new AwlError('USAGE_UNKNOWN_COMMAND', `awl id has no "${oneLine(command)}"`, { hint: ID_USAGE });
  }
}

async function init(args: string[], repo: string, io: IdIo): Promise<number> {
  const { values, words } = parseWords(args, { bits: { type: 'string' }, out: { type: 'string' } }, 1);
  const name = parseName(requiredWord(words[0], 'awl id init needs the name of the identity'));
  const bits = textValue(values['bits']);
  if (bits !== undefined && !IDENTITY_RSA_BITS.map(String).includes(bits)) {
    throw new AwlError('USAGE_BAD_VALUE', `--bits=${oneLine(bits)} is not a size that awl makes`, {
      hint: `choose one of ${IDENTITY_RSA_BITS.join(', ')}`,
    });
  }
  const made = await createIdentity(repo, name, {
    now: io.now,
    ...(bits !== undefined && { bits: Number(bits) }),
  });
  const out = textValue(values['out']);
  if (out !== undefined) await writeNewFile(resolve(io.cwd, out), await exportIdentity(repo, name, io.now));
  report(io, 'identity-created', made, `made ${formatName(name)} in ${made.folder}`);
  if (io.json) return 0;
  io.stdout(
    out === undefined
      ? `next: give your peer the output of: awl id export ${formatName(name)}\n`
      : `next: give your peer the file ${oneLine(out)}; there: awl id trust ${oneLine(out)}\n`,
  );
  return 0;
}

async function bundle(args: string[], repo: string, io: IdIo): Promise<number> {
  const { values, words } = parseWords(args, { out: { type: 'string' } }, 1);
  const name = words[0] === undefined ? await onlyHost(repo, io) : parseName(words[0]);
  const data = await exportIdentity(repo, name, io.now);
  const out = textValue(values['out']);
  if (out !== undefined) await writeNewFile(resolve(io.cwd, out), data);
  if (io.json) {
    const event = { event: 'identity-exported', identity: formatName(name) };
    io.stdout(`${JSON.stringify({ ...event, ...(out === undefined ? { bundle: data } : { file: out }) })}\n`);
  } else if (out === undefined) {
    io.stdout(data);
  } else {
    io.stdout(`wrote ${formatName(name)} to ${oneLine(out)}\n`);
  }
  return 0;
}

/** Who has one identity need not name it. */
async function onlyHost(repo: string, io: IdIo): Promise<IdentityName> {
  const hosts = (await new AppRepository(repo, { now: () => io.now }).list()).filter(
    ({ role }) => role === 'host',
  );
  if (hosts.length === 1 && hosts[0]) return hosts[0].name;
  if (hosts.length === 0) {
    throw new AwlError('IDENTITY_MISSING', `there is no identity of yours in ${repo}`, {
      hint: 'make one with: awl id init owner/pin',
    });
  }
  const names = hosts.map(({ name }) => formatName(name)).join(', ');
  throw new AwlError('USAGE_MISSING', `${repo} holds several identities of yours: ${names}`, {
    hint: 'say which: awl id export owner/pin',
  });
}

async function trust(args: string[], repo: string, io: IdIo): Promise<number> {
  const { values, words } = parseWords(args, { as: { type: 'string' }, replace: { type: 'boolean' } }, 1);
  const file = requiredWord(
    words[0],
    'awl id trust needs the file that your peer gave you, or - for standard input',
  );
  const what = file === '-' ? 'standard input' : oneLine(file);
  const data = await collectBundle(
    file === '-' ? (io.stdin ?? process.stdin) : createReadStream(resolve(io.cwd, file)),
    what,
  );
  const as = textValue(values['as']);
  const done = await trustIdentity(repo, data, {
    now: io.now,
    what,
    replace: values['replace'] === true,
    ...(as !== undefined && { as: parseName(as) }),
  });
  const verbs = { added: 'now trusts', replaced: 'now trusts the new key of', unchanged: 'already trusted' };
  const verb = done.outcome === 'created' ? verbs.added : verbs[done.outcome];
  report(io, 'identity-trusted', done, `${repo} ${verb} ${formatName(done.name)}`);
  if (!io.json) {
    io.stdout(
      `ask ${done.name.owner}, by telephone or face to face, whether the fingerprint is the same there (awl id list --long)\n`,
    );
  }
  return 0;
}

async function list(args: string[], repo: string, io: IdIo): Promise<number> {
  const { values } = parseWords(args, { long: { type: 'boolean' } }, 0);
  const survey = await new AppRepository(repo, { now: () => io.now }).survey();
  if (io.json) {
    for (const entry of survey.entries) io.stdout(`${JSON.stringify(identityJson(entry))}\n`);
    for (const problem of survey.problems) {
      io.stdout(`${JSON.stringify({ event: 'identity-problem', message: problem })}\n`);
    }
    return 0;
  }
  if (survey.entries.length === 0) {
    io.stdout(`no identity in ${repo}; make yours with: awl id init owner/pin\n`);
  } else {
    io.stdout(identityTable(survey.entries, values['long'] === true));
  }
  for (const problem of survey.problems) io.stdout(`! ${oneLine(problem)}\n`);
  return 0;
}

function report(io: IdIo, event: string, done: Onboarded, sentence: string): void {
  const expires = done.expires.toISOString();
  const { fingerprint } = done.cert;
  if (io.json) {
    const { folder, outcome } = done;
    io.stdout(
      `${JSON.stringify({ event, identity: formatName(done.name), folder, outcome, fingerprint, expires })}\n`,
    );
    return;
  }
  io.stdout(`${sentence}\n`);
  io.stdout(`fingerprint  ${formatFingerprint(fingerprint.slice(0, 32))}\n`);
  io.stdout(`             ${formatFingerprint(fingerprint.slice(32))}\n`);
  io.stdout(`valid until  ${expires.slice(0, 10)}\n`);
}

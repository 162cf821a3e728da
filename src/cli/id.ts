import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { IDENTITY_RSA_BITS } from '../constants.js';
import { AwlError } from '../errors.js';
import { formatName, type IdentityName, parseName } from '../identity/names.js';
import { createIdentity, exportIdentity, type Onboarded, trustIdentity } from '../identity/onboarding.js';
import { AppRepository } from '../identity/repository.js';
import { formatFingerprint } from '../identity/x509.js';
import { collectBundle, refuseExisting, writeNewFile } from './id-files.js';
import { identityJson, identityTable } from './id-table.js';
import { ID_USAGE, parseWords, requiredWord, textValue } from './id-words.js';
import { oneLine } from './io.js';

/** What `awl id` touches of the process. */
export interface IdIo {
  /** Results: bundles, tables, JSON. */
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
  const out = textValue(values['out']);
  const file = out === undefined ? undefined : resolve(io.cwd, out);
  // Before the key is made: an identity that is there cannot be made a second time to get its file.
  if (file !== undefined) await refuseExisting(file);
  const made = await createIdentity(repo, name, {
    now: io.now,
    ...(bits !== undefined && { bits: Number(bits) }),
  });
  const data = await exportIdentity(repo, name, io.now);
  if (file !== undefined) await writeNewFile(file, data);
  if (io.json) {
    io.stdout(jsonReport('identity-created', made, out === undefined ? { bundle: data } : { file: out }));
    return 0;
  }
  // Words go beside the output, so that `awl id init me/here > me.awl` makes a file to hand over.
  io.stderr(wordReport(made, `made ${formatName(name)} in ${made.folder}`));
  io.stderr(
    `next: give this to your peer${out === undefined ? '' : ` (it is in ${oneLine(out)})`}; there: awl id trust FILE\n`,
  );
  if (out === undefined) io.stdout(data);
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
  if (io.json) {
    io.stdout(jsonReport('identity-trusted', done));
  } else {
    io.stdout(wordReport(done, `${repo} ${verb} ${formatName(done.name)}`));
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

function jsonReport(event: string, done: Onboarded, more: object = {}): string {
  const { folder, outcome, cert } = done;
  const expires = done.expires.toISOString();
  const line = {
    event,
    identity: formatName(done.name),
    folder,
    outcome,
    fingerprint: cert.fingerprint,
    expires,
  };
  return `${JSON.stringify({ ...line, ...more })}\n`;
}

function wordReport(done: Onboarded, sentence: string): string {
  const { fingerprint } = done.cert;
  return [
    oneLine(sentence),
    `fingerprint  ${formatFingerprint(fingerprint.slice(0, 32))}`,
    `             ${formatFingerprint(fingerprint.slice(32))}`,
    `valid until  ${done.expires.toISOString().slice(0, 10)}`,
    '',
  ].join('\n');
}

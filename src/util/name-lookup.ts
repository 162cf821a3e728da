import { Resolver } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';

const HOSTS_FILE = '/etc/hosts';
/** c-ares: one repetition; the caller's signal is the real limit. */
const QUERY = { timeout: 1000, tries: 2 } as const;
/** The name servers work but know nothing: other sources of the system (mDNS, search domains) may. */
const DEFINITE = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED', 'EBADNAME']);

/** First address of `name` in the text of a hosts file, in the given family. */
export function findInHosts(text: string, name: string, family: 4 | 6): string | undefined {
  for (const line of text.split('\n')) {
    const [address = '', ...names] = (line.split('#', 1)[0] ?? '').trim().split(/\s+/);
    if (isIP(address) !== family) continue;
    if (names.some((each) => each.toLowerCase() === name.toLowerCase())) return address;
  }
  return undefined;
}

function query(name: string, family: 4 | 6, signal: AbortSignal): Promise<string> {
  const resolver = new Resolver(QUERY);
  return new Promise((resolve, reject) => {
    const onAbort = () => resolver.cancel();
    const done = (error: Error | null, addresses: string[] | undefined) => {
      signal.removeEventListener('abort', onAbort);
      const [first] = addresses ?? [];
      if (first !== undefined && !error) resolve(first);
      else reject(error ?? new Error('no address'));
    };
    if (family === 4) resolver.resolve4(name, done);
    else resolver.resolve6(name, done);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Address of a name in one family: hosts file, then name servers, then whatever else the system asks. The system's
 * own lookup comes last because it cannot be taken back: while it waits for a silent name server (10 s by
 * default) not even process.exit ends the process.
 * @throws Error of the name server; also when aborted
 */
export async function lookupName(name: string, family: 4 | 6, signal: AbortSignal): Promise<string> {
  const known = findInHosts(await readFile(HOSTS_FILE, 'utf8').catch(() => ''), name, family);
  if (known !== undefined) return known;
  signal.throwIfAborted();
  try {
    return await query(name, family, signal);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (signal.aborted || !DEFINITE.has(code)) throw error;
    return (await lookup(name, { family })).address;
  }
}

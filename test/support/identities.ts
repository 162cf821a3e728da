import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FIXTURES = new URL('../fixtures/identity/', import.meta.url);

/** One of the throw-away keys and certificates that test/fixtures/identity/make.sh made with openssl. */
export function fixture(name: string): Buffer {
  return readFileSync(new URL(name, FIXTURES));
}

/** Puts an identity of fixtures into a repository as plexus users have it; returns its folder. */
export function placeIdentity(
  repo: string,
  name: string,
  files: { readonly cert?: string; readonly key?: string; readonly ca?: string },
): string {
  const folder = join(repo, name);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  const put = (file: string, source: string | undefined, mode: number) => {
    if (source === undefined) return;
    writeFileSync(join(folder, file), fixture(source));
    chmodSync(join(folder, file), mode);
  };
  put('cert.crt', files.cert, 0o644);
  put('private.key', files.key, 0o600);
  put('ca.crt', files.ca, 0o644);
  return folder;
}

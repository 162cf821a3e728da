import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian packages of the programs whose package has another name. */
const PACKAGES: Readonly<Record<string, string>> = {
  dovecot: 'dovecot-imapd',
  exim4: 'exim4-daemon-light',
  ip: 'iproute2',
  nft: 'nftables',
  tc: 'iproute2',
  turnserver: 'coturn',
  turnutils_natdiscovery: 'coturn',
  stund: 'stun-server',
  dhtnode: 'dhtnode',
  wg: 'wireguard-tools',
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  ping: 'iputils-ping',
  miniupnpd: 'miniupnpd-nftables',
  'redis-server': 'redis-server',
  script: 'bsdutils',
  stty: 'coreutils',
  go: 'golang-go',
  pion: 'golang-github-pion-webrtc.v3-dev',
};

/** Where Debian puts pion's sources. */
export const PION = '/usr/share/gocode';

function isThere(part: string): boolean {
  if (part === 'pion') return existsSync(join(PION, 'src/github.com/pion/webrtc'));
  if (part === 'root') return process.getuid?.() === 0;
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, part), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * True if everything a test needs is here: 'root' (uid 0), 'pion' (Go sources) or programs by name.
 * @throws Error in CI, naming the Debian package: there no suite may be left out
 */
export function needs(...parts: string[]): boolean {
  const missing = parts.filter((part) => !isThere(part));
  if (missing.length === 0) return true;
  if (process.env['CI']) {
    const cures = missing.map((part) =>
      part === 'root' ? 'run as root' : `install ${PACKAGES[part] ?? part}`,
    );
    throw new Error(`this test needs ${missing.join(', ')}: ${cures.join('; ')}`);
  }
  return false;
}

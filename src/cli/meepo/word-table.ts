/** One flag of a Meepo command; a flag without a default is text that may be absent. */
export interface Flag {
  readonly name: string;
  readonly short?: string;
  readonly type: 'text' | 'bool';
  readonly default?: string;
  readonly help: string;
}

/** One command of Meepo's, as its help shows it. */
export interface Words {
  readonly path: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** How many words it takes; `rest` any number. */
  readonly words: number | 'rest';
}

const CONFIG: Flag = { name: 'config', short: 'c', type: 'text', help: 'Location of meepo config file' };
const IDENTITY: Flag = {
  name: 'identity-file',
  short: 'i',
  type: 'text',
  help: 'Select a file from which the identity for Meepo to read (also -f)',
};
const FILENAME: Flag = { name: 'filename', short: 'f', type: 'text', help: 'The same as --identity-file' };
const JSON_FLAG: Flag = { name: 'json', type: 'bool', help: 'As JSON' };
const OVERWRITE: Flag = { name: 'overwrite', type: 'bool', help: 'Overwrite the file if it is there' };
const TELEPORT: readonly Flag[] = [
  { name: 'name', short: 'n', type: 'text', help: 'Teleportation name' },
  {
    name: 'local-address',
    short: 'l',
    type: 'text',
    help: 'Local listen address, if not set, random port will be listen',
  },
  { name: 'secret', short: 's', type: 'text', help: 'New teleportation with secret' },
  { name: 'secret-file', type: 'text', help: 'Read the secret from a file, which shows it to nobody' },
];

/** Flags that every command takes. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  { name: 'help', short: 'h', type: 'bool', help: 'Help for this command' },
  {
    name: 'host',
    short: 'H',
    type: 'text',
    help: 'Daemon API base url (default: its socket)',
  },
  { name: 'log-level', type: 'text', help: 'Logging level of serve' },
];

/** Every command of Meepo 0.7, with its aliases, and what awl adds. */
export const COMMANDS: readonly Words[] = [
  {
    path: 'serve',
    // The last one stands in the README.
    aliases: ['summon', 'servce'],
    usage: 'serve [-c config] [-d daemon]',
    summary: 'Summon a Meepo',
    words: 0,
    flags: [
      CONFIG,
      { name: 'daemon', short: 'd', type: 'bool', help: 'Run as daemon (default: as the config says, true)' },
      IDENTITY,
      FILENAME,
      { name: 'passphrase-file', type: 'text', help: 'Read the passphrase of the identity file from a file' },
      { name: 'awl-secrets-only', type: 'bool', help: 'Send no secret to nodes that are not awl' },
      { name: 'port-mapping', type: 'bool', help: 'Ask the router for ports (default: true)' },
      { name: 'metrics', type: 'text', help: 'Serve numbers for Prometheus at ADDRESS:PORT' },
      { name: 'address', type: 'text', help: 'Use this local address only, loopback too (tests, demos)' },
    ],
  },
  { path: 'shutdown', aliases: ['deny'], usage: 'shutdown', summary: 'Shutdown Meepo', words: 0, flags: [] },
  { path: 'whoami', usage: 'whoami', summary: 'Get Meepo ID', words: 0, flags: [] },
  { path: 'version', usage: 'version', summary: 'Print version information', words: 0, flags: [] },
  {
    path: 'status',
    usage: 'status [--json]',
    summary: 'Print what the node is doing',
    words: 0,
    flags: [JSON_FLAG],
  },
  {
    path: 'doctor',
    usage: 'doctor [-c config] [-i identity-file] [--json]',
    summary: 'Check config, key and signaling; say who reaches what',
    words: 0,
    flags: [CONFIG, IDENTITY, FILENAME, JSON_FLAG],
  },
  { path: 'ping', usage: 'ping <id>', summary: 'Send ping request to peer meepo', words: 1, flags: [] },
  {
    path: 'keygen',
    usage: 'keygen [-f meepo.pem] [-t ed25519]',
    summary: 'Generate an identity key',
    words: 0,
    flags: [
      { name: 'type', short: 't', type: 'text', default: 'ed25519', help: 'Type of the key, ed25519' },
      { name: 'filename', short: 'f', type: 'text', default: 'meepo.pem', help: 'Where to write it' },
      { name: 'passphrase-file', type: 'text', help: 'Encrypt it with the passphrase in this file' },
      OVERWRITE,
    ],
  },
  {
    path: 'transport new',
    aliases: ['transport n'],
    usage: 'transport new <id>',
    summary: 'New transport',
    words: 1,
    flags: [],
  },
  {
    path: 'transport list',
    aliases: ['transport ls', 'transport l'],
    usage: 'transport list',
    summary: 'List transports',
    words: 0,
    flags: [],
  },
  {
    path: 'transport close',
    aliases: ['transport c'],
    usage: 'transport close <id>',
    summary: 'Close a transport',
    words: 1,
    flags: [],
  },
  {
    path: 'teleport',
    usage: 'teleport [-n <name>] [-l <local-address>] [-s secret] <id> <remote-address>',
    summary: 'New teleportation in easy way',
    words: 2,
    flags: TELEPORT,
  },
  {
    path: 'teleportation new',
    aliases: ['teleportation n'],
    usage: 'teleportation new [-n name] [-l local-address] [-s secret] <id> <remote-address>',
    summary: 'New teleportation',
    words: 2,
    flags: TELEPORT,
  },
  {
    path: 'teleportation list',
    aliases: ['teleportation ls', 'teleportation l'],
    usage: 'teleportation list',
    summary: 'List teleportations',
    words: 0,
    flags: [],
  },
  {
    path: 'teleportation close',
    aliases: ['teleportation c'],
    usage: 'teleportation close <name>',
    summary: 'Close a teleportation',
    words: 1,
    flags: [{ name: 'name', type: 'text', help: 'Not used, as in the real one' }],
  },
  {
    path: 'config init',
    usage: 'config init [key=value ...]',
    summary: 'Write a config file with every key',
    words: 'rest',
    flags: [CONFIG, OVERWRITE],
  },
  { path: 'config get', usage: 'config get <key>', summary: 'Print a key', words: 1, flags: [CONFIG] },
  {
    path: 'config set',
    usage: 'config set <key>=<value> ...',
    summary: 'Change keys; values may be base64:<text> or file://<path>',
    words: 'rest',
    flags: [CONFIG],
  },
  {
    path: 'ssh',
    usage: 'ssh [-- ssh-args... user@id]',
    summary: 'Run a ssh proxy to other Meepo ssh server',
    words: 'rest',
    flags: [
      { name: 'binary', type: 'text', default: 'ssh', help: 'Program to name in the printed line' },
      { name: 'id', type: 'text', help: 'MeepoID, instead of user@id' },
      { name: 'username', type: 'text', help: 'User, instead of user@id' },
      { name: 'laddr', type: 'text', default: '127.0.0.1:0', help: 'Local address' },
      { name: 'raddr', type: 'text', default: '127.0.0.1:22', help: 'Remote address' },
      { name: 'strict', type: 'bool', help: 'Keep ssh’s checks of host keys' },
      { name: 'secret', type: 'text', help: 'New teleportation with secret' },
      { name: 'secret-file', type: 'text', help: 'Read the secret from a file' },
    ],
  },
  {
    path: 'ncat',
    usage: 'ncat <host> <port>',
    summary: 'ncat-like program, support SOCKS5 with authentication',
    words: 2,
    flags: [
      { name: 'proxy', type: 'text', default: '127.0.0.1:12341', help: 'SOCKS5 proxy' },
      { name: 'proxy-type', type: 'text', default: 'socks5', help: 'Type of the proxy, socks5' },
      { name: 'proxy-auth', type: 'text', help: 'user:password for the proxy' },
    ],
  },
  {
    path: 'name add',
    usage: 'name add <name> <id>',
    summary: 'Give a peer a name, so that <name>.mpo leads to it',
    words: 2,
    flags: [],
  },
  { path: 'name list', usage: 'name list', summary: 'List names', words: 0, flags: [] },
  { path: 'name remove', usage: 'name remove <name>', summary: 'Forget a name', words: 1, flags: [] },
];

/** Commands that have commands of their own. */
export const GROUPS = ['transport', 'teleportation', 'config', 'name'] as const;

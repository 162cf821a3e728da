import type { CommandSpec } from '../command.js';

/** `awl meepo` in help and man page. */
export const MEEPO_COMMAND: CommandSpec = {
  name: 'meepo',
  summary: 'run a Meepo node: teleport TCP ports between machines that know each other by key',
  forms: [
    'serve [-c FILE] [-i KEYFILE]',
    'teleport [-l ADDRESS] [-s SECRET] ID ADDRESS',
    'COMMAND [FLAG]... [WORD]...',
  ],
  details: [
    'The command line of Meepo 0.7, its aliases included, toward real nodes and toward awl. awl meepo --help lists ' +
      'the commands, awl meepo COMMAND --help the flags of one; docs/MEEPO.md tells the rest.',
    'serve starts a daemon, which the other commands talk to over a socket in ~/.meepo (AWL_MEEPO_DIR names another ' +
      'folder). Peers reach loopback services of this machine only, unless auth or acl in the configuration say more.',
  ],
  examples: [
    ['awl meepo keygen -f meepo.pem', 'make a key; whoami prints the name that it gives'],
    ['awl meepo serve -i meepo.pem', 'start the node'],
    ['awl meepo teleport -l 127.0.0.1:8080 ID 127.0.0.1:80', 'reach port 80 of the other machine here'],
  ],
  raw: true,
  load: async () => (await import('../meepo.js')).runMeepo,
};

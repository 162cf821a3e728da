import type { OptionSpec } from './spec.js';

/** The real wormhole's command line (spec plexus h.2). */
export const WORMHOLE_OPTIONS = [
  {
    name: 'purpose',
    type: 'choice',
    group: 'command',
    commands: ['wormhole'],
    placeholder: 'import|export',
    choices: ['import', 'export'],
    help: 'import: listen for TCP clients here; export: connect them to a service here (required)',
  },
  {
    name: 'service',
    type: 'server',
    group: 'command',
    commands: ['wormhole'],
    placeholder: 'ADDRESS:PORT',
    help: 'TCP address: export: of the service; import: to listen on (required)',
  },
  {
    name: 'gateway',
    type: 'local',
    group: 'command',
    commands: ['wormhole'],
    placeholder: 'ADDRESS:PORT',
    help: 'own UDP address: %innerip%:%innerport% (required)',
  },
  {
    name: 'faraway',
    type: 'server',
    group: 'command',
    commands: ['wormhole'],
    placeholder: 'ADDRESS:PORT',
    help: 'UDP address of the other side: %peerip%:%peerport% (required)',
  },
  {
    name: 'obscure',
    type: 'text',
    group: 'command',
    commands: ['wormhole'],
    placeholder: 'NUMBER',
    default: '0',
    legacyEnv: [{ name: 'WORMHOLE_SECRET' }],
    help: 'number that datagrams are masked with, the same on both sides: %secret%; 0 leaves them clear',
    details:
      'The word env takes it from AWL_SECRET, which awl sets for its programs, so that it does not stand in the ' +
      'list of processes. Without the option it is WORMHOLE_SECRET, or else 0. Masking is no encryption.',
  },
] as const satisfies readonly OptionSpec[];

import type { OptionSpec } from './spec.js';

/** A program and the built-in tunnel cannot have one passage. */
const PROGRAM = ['exec-command', 'exec-args', 'exec-env', 'exec-pwd', 'exec-log', 'exec-detach'] as const;

/** The built-in tunnel. */
export const TUNNEL_OPTIONS = [
  {
    name: 'export',
    type: 'text',
    group: 'tunnel',
    commands: ['session'],
    placeholder: 'TARGET',
    repeatable: true,
    separator: /[\s,]+/,
    conflicts: PROGRAM,
    help: 'let the peer reach this and nothing else: [tcp:|udp:][HOST:]PORT[-PORT] or unix:PATH; repeat it for more',
    details: 'Without HOST it is 127.0.0.1. Names are looked up here.',
  },
  {
    name: 'import',
    type: 'text',
    group: 'tunnel',
    commands: ['session'],
    placeholder: 'LOCAL[:TARGET]',
    repeatable: true,
    separator: /[\s,]+/,
    conflicts: PROGRAM,
    help: 'listen here and lead to what the peer exports: [tcp:|udp:][ADDRESS:]PORT[-PORT][:[HOST:]PORT[-PORT]]; repeat it for more',
    details:
      'Without ADDRESS it listens on 127.0.0.1; without TARGET it leads to the same port there. HOST is as the peer ' +
      'wrote it in --export, by default 127.0.0.1. unix:PATH may stand on either side: unix:/tmp/db.sock:5432.',
  },
  {
    name: 'stdio',
    type: 'text',
    group: 'tunnel',
    commands: ['session'],
    placeholder: 'TARGET',
    conflicts: [...PROGRAM, 'accept', 'json'],
    help: 'make standard input and output one connection to what the peer exports, as ssh wants from a ProxyCommand',
    details:
      'TARGET is [HOST:]PORT or unix:PATH, as the peer wrote it in --export. Logs go to standard error.',
  },
] as const satisfies readonly OptionSpec[];

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
    name: 'export-any',
    type: 'text',
    group: 'tunnel',
    commands: ['session'],
    placeholder: 'HOST:PORT',
    repeatable: true,
    separator: /[\s;]+/,
    conflicts: PROGRAM,
    help: 'let the peer also reach every target within this rule, for example 10.0.0.0/8:*, with its --socks5; repeat it for more',
    details:
      'HOST is an address, a network such as 10.0.0.0/8 or [2001:db8::/32], or "*"; PORT a port, a range or "*". ' +
      'tcp:HOST:PORT and udp:HOST:PORT tell the two apart; "OWNER/PIN:*:*:*," before a rule limits it to that peer. ' +
      'Names are looked up here and judged by their addresses. What no rule allows is refused. "*" is every ' +
      "address, this machine's own services included: close them with --export-except.",
  },
  {
    name: 'export-except',
    type: 'text',
    group: 'tunnel',
    commands: ['session'],
    placeholder: 'HOST:PORT',
    repeatable: true,
    separator: /[\s;]+/,
    requires: ['export-any'],
    help: 'close to the peer what --export-any would allow; the rules are the same, and these win',
    details:
      'A rule for 127.0.0.1 or ::1 closes every address of this machine. An --export is not touched by it.',
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
    name: 'socks5',
    type: 'text',
    group: 'tunnel',
    commands: ['session'],
    placeholder: '[ADDRESS:]PORT',
    conflicts: PROGRAM,
    help: 'listen here as SOCKS 5 and HTTP proxy; the peer connects to what it gives with --export-any and --export, and looks names up',
    details:
      'Without ADDRESS it listens on 127.0.0.1. Who can connect there can use it: there is no password.',
  },
  {
    name: 'tunnel',
    type: 'choice',
    group: 'tunnel',
    commands: ['session'],
    placeholder: 'WIRE',
    choices: ['awl', 'udx', 'tubus', 'tubus-clear'],
    default: 'awl',
    conflicts: PROGRAM,
    help: "what the tunnel speaks: awl's own wire, or tubus where the other side is a plexus that starts wormhole",
    details:
      'udx is the wire that awl takes by itself where one of both kernels cannot cut and join datagrams. ' +
      'tubus carries one TCP service, without encryption worth the name: one --export PORT meets --purpose=import on the ' +
      'other side, one --import PORT meets --purpose=export; tubus masks with the secret of the session, as ' +
      '--obscure=%secret% does there, and tubus-clear does not.',
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
  {
    name: 'reconnect-timeout',
    type: 'seconds',
    group: 'tunnel',
    commands: ['session'],
    placeholder: 'SECONDS',
    default: '600',
    min: 0,
    max: 86_400,
    conflicts: PROGRAM,
    help: 'how long a tunnel that lost its path waits for another one; its open connections wait with it; 0 to end at once',
    details: 'The inviter invites and punches again until the time is over. Give both sides about the same.',
  },
  {
    name: 'udp-only',
    type: 'flag',
    group: 'tunnel',
    commands: ['session'],
    conflicts: PROGRAM,
    help: 'keep the tunnel on UDP even where TCP can be punched, too',
    details:
      'Without it a tunnel begins on UDP and moves to TCP and TLS 1.3, which is several times faster, once both sides have ' +
      'connected; where that does not come about it stays on UDP.',
  },
] as const satisfies readonly OptionSpec[];

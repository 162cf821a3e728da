import { HYPERDHT_PORT, STUN_PORT } from '../constants.js';
import type { CommandSpec } from './command.js';
import { expandHome } from './input-file.js';
import type { OptionValues } from './values.js';

/** What runs on a machine of one's own that others can reach. */
export const SERVER_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'stun-server',
    summary: 'run a STUN server for your own machines',
    forms: ['[OPTION]...'],
    details: [
      'Serves RFC 3489, 5389, 8489 and 5780 clients over UDP until it is stopped; plexus 3.1 finds its three ' +
        'addresses in one answer. With two addresses clients can tell how their NAT filters.',
    ],
    examples: [['awl stun-server --listen=203.0.113.1,203.0.113.2', 'serve on two addresses']],
    load: async () => {
      const { runStunServer } = await import('./stun-server.js');
      return ({ options, io, signal }) => {
        const listen = options.given('listen') ? options.texts('listen') : ['0.0.0.0'];
        const port = options.number('port') ?? STUN_PORT;
        return runStunServer({ listen, port, altPort: options.number('alt-port') ?? 0 }, io, signal);
      };
    },
  },
  {
    name: 'dht-node',
    summary: 'run a DHT node by which your own machines find each other',
    forms: ['--listen=ADDRESS [OPTION]...'],
    details: [
      'A HyperDHT node for a network of your own: it stores and relays sealed letters, and can read none. Name it ' +
        'with --dht-bootstrap on the machines that connect. One line tells when it is ready; SIGTERM ends it.',
      'A second node that names the first one with --dht-bootstrap takes over when that is down.',
    ],
    examples: [['awl dht-node --listen=203.0.113.1', 'serve on the standard port']],
    load: async () => {
      const { runDhtNode } = await import('./dht-node.js');
      return ({ options, io, signal }) =>
        runDhtNode({ ...nodeOptions(options), port: options.number('port') ?? HYPERDHT_PORT }, io, signal);
    },
  },
  {
    name: 'hub',
    summary: 'run STUN server and DHT node in one: all that a team needs of its own',
    forms: ['--listen=ADDRESS [--listen=ADDRESS] [OPTION]...'],
    details: [
      'One command on one small server. It prints the options that the machines which connect need. It can read none ' +
        'of their letters, and carries no traffic of theirs unless --relay is given. awl service makes a service of it.',
      'With --relay it also forwards datagrams between two machines whose NATs let nothing else through, if both ' +
        'prove by their keys that they are in its --app-repo (certificates suffice: awl id trust) or named by --relay-allow. ' +
        'It sees addresses and sizes, and what tunnels carry only encrypted. Sessions, their rates and idle times are limited.',
    ],
    examples: [
      ['awl hub --listen=203.0.113.1', 'serve on the standard ports'],
      ['awl hub --listen=203.0.113.1 --relay --app-repo=/etc/awl/repo', 'and relay for the team'],
    ],
    load: async () => {
      const { runHub } = await import('./hub.js');
      const { relayOptions } = await import('./hub-relay.js');
      return ({ options, io, log, signal }) => {
        const ports = {
          stunPort: options.number('port') ?? STUN_PORT,
          altPort: options.number('alt-port') ?? 0,
          dhtPort: options.number('node-port') ?? HYPERDHT_PORT,
        };
        const relay = options.flag('relay') && relayOptions(options);
        const folder = options.text('state-dir');
        const stateDir = folder === undefined ? {} : { stateDir: expandHome(folder) };
        const args = { ...nodeOptions(options), ...ports, ...stateDir, ...(relay && { relay }), log };
        return runHub(args, io, signal);
      };
    },
  },
];

/** What `awl dht-node` and `awl hub` have in common. */
function nodeOptions(options: OptionValues) {
  const [open, metrics] = [options.text('public'), options.local('metrics')];
  return {
    listen: options.given('listen') ? options.texts('listen') : ['0.0.0.0'],
    bootstrap: options
      .servers('dht-bootstrap')
      .map((node) => ({ ...node, port: node.port || HYPERDHT_PORT })),
    ...(open !== undefined && { public: open }),
    ...(metrics && { metrics }),
  };
}

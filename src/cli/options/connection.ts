import { PUNCH_HOPS, RELAY_PORT, STUN_PORT } from '../../constants.js';
import type { OptionSpec } from './spec.js';

/** Who connects to whom, and through which hole. */
export const CONNECTION_OPTIONS = [
  {
    name: 'accept',
    plexus: true,
    type: 'flag',
    group: 'who',
    commands: ['session'],
    help: 'accept invitations, for ever; without it awl invites the peer once',
    details: 'Exactly one of the two sides must accept.',
  },
  {
    name: 'app-id',
    aliases: ['app-name'],
    plexus: true,
    type: 'text',
    group: 'who',
    commands: ['session'],
    placeholder: 'NAME',
    help: 'name of the application; both sides must give the same (required)',
    details:
      'Printable ASCII, at most 128 characters. It is part of the mail subject and of the signed message, so that an ' +
      'invitation for one application cannot be used for another.',
  },
  {
    name: 'app-repo',
    plexus: true,
    type: 'path',
    group: 'who',
    commands: ['session', 'id', 'hub'],
    placeholder: 'DIR',
    default: '',
    defaultText: 'the current folder',
    allowEmpty: true,
    help: 'application repository: the folder with the identities OWNER/PIN',
    details: 'See awl-id(1) for how to make one.',
  },
  {
    name: 'host-info',
    aliases: ['host-id', 'email-subj-from'],
    plexus: true,
    type: 'name',
    group: 'who',
    commands: ['session'],
    placeholder: 'OWNER/PIN',
    default: '/',
    help: 'own identity; owner is the mail address when mail is the rendezvous',
    details:
      'An acceptor may leave parts open: "/" accepts for every identity in the repository that has a private key. ' +
      'As --host-id the value may also be a pin alone (first plexus generation); the owner is then --email-from, ' +
      'or else --email-login.',
  },
  {
    name: 'peer-info',
    aliases: ['peer-id', 'email-subj-to'],
    plexus: true,
    type: 'name',
    group: 'who',
    commands: ['session'],
    placeholder: 'OWNER/PIN',
    default: '/',
    help: 'identity of the peer; an acceptor may leave it out and then accepts everyone in the repository',
    details:
      'As --peer-id the value may also be a pin alone; the owner is then --email-to, or else --email-login.',
  },
  {
    name: 'stun-server',
    aliases: ['udp-stun'],
    plexus: true,
    type: 'server',
    group: 'stun',
    commands: ['session', 'doctor'],
    placeholder: 'HOST[:PORT]',
    defaultPort: STUN_PORT,
    repeatable: true,
    separator: /[,;]/,
    help: 'STUN server; several give a better NAT report (required)',
    details:
      'The first one gives the own public endpoint. Separate several with commas or repeat the option. ' +
      'Forms: host, host:port, [v6]:port, proto://host:port. awl stun-server runs one of your own.',
  },
  {
    name: 'stun-client',
    aliases: ['udp-bind'],
    plexus: true,
    type: 'local',
    group: 'stun',
    commands: ['session', 'doctor'],
    placeholder: 'ADDRESS[:PORT]',
    default: '0.0.0.0:0',
    defaultPort: 0,
    help: 'local UDP address for STUN, punching and the application; port 0 picks a free one',
  },
  {
    name: 'app-qos',
    type: 'text',
    group: 'stun',
    commands: ['session'],
    placeholder: 'PROTO:ROLE',
    default: 'udp:either',
    help: 'what the program speaks: udp, tcp, ssl or any, and as client, server, mutual or either',
    details:
      'As in plexus 3.4; both sides find out what they can be to each other, and %qos% tells the program. With tcp and ' +
      'ssl the addresses are for TCP, and the two programs make the connection themselves: the server listens at ' +
      '%inner%, the client connects from there to %alien%, and mutual ones both connect at once. Anything but ' +
      'udp:either needs awl or plexus 3.3 or later on the other side. The built-in tunnel uses TCP by itself.',
  },
  {
    name: 'tcp-stun',
    type: 'server',
    group: 'stun',
    commands: ['session'],
    placeholder: 'HOST[:PORT]',
    defaultPort: STUN_PORT,
    repeatable: true,
    separator: /[,;]/,
    defaultText: '--stun-server',
    help: 'STUN server that is asked over TCP',
  },
  {
    name: 'tcp-bind',
    type: 'local',
    group: 'stun',
    commands: ['session'],
    placeholder: 'ADDRESS[:PORT]',
    defaultPort: 0,
    defaultText: 'address of --stun-client, any free port',
    help: 'local TCP address for STUN, punching and the application',
  },
  {
    name: 'route',
    type: 'choice',
    group: 'stun',
    commands: ['session'],
    placeholder: 'HOW',
    choices: ['direct', 'relay', 'either'],
    defaultText: 'either with --relay-server, else direct',
    help: 'which way the path may go: direct, by relay, or either',
    details:
      'With either a relay is used only where no direct path was found. Both sides must allow it: the one without ' +
      '--relay-server says --route=either. That a path is relayed stands in the log, in awl status and in --json ' +
      '(how: relay). The tunnel goes on looking for a direct path and moves there; a program stays on the relay.',
  },
  {
    name: 'relay-server',
    type: 'server',
    group: 'stun',
    commands: ['session'],
    placeholder: 'HOST[:PORT]',
    defaultPort: RELAY_PORT,
    help: 'machine of yours that runs awl hub --relay, for NATs that let nothing else through',
    details:
      'The peer is told of it in the sealed letter; where both sides name one, the inviter’s is used. Both need to be ' +
      'allowed there. It sees addresses, times and sizes; what the tunnel carries is encrypted from end to end. A program in ' +
      '--exec-command must encrypt by itself.',
  },
  {
    name: 'punch-hops',
    aliases: ['nat-hops'],
    plexus: true,
    type: 'int',
    group: 'stun',
    commands: ['session'],
    placeholder: 'N',
    min: 1,
    max: 255,
    default: String(PUNCH_HOPS),
    help: 'IP time-to-live of the first datagram: past the own NAT, short of the other one',
    details:
      'Without this option it is the smallest one that was seen to leave the own NAT, where a STUN server that speaks ' +
      'RFC 5780 lets awl find out, and 7 otherwise.',
  },
  {
    name: 'candidates',
    type: 'choice',
    group: 'stun',
    commands: ['session'],
    placeholder: 'KIND[,KIND]',
    choices: ['host', 'srflx', 'mapped', 'none'],
    repeatable: true,
    separator: /[,;]/,
    defaultText: 'host,srflx,mapped',
    help: 'own addresses that the peer is told besides the public endpoint; none for that alone',
    details:
      'host: addresses of this machine, also those of the own network, by which machines of one network reach each other ' +
      'without going through its NAT, and IPv6; srflx: what other STUN servers see; mapped: a port that the router forwards. ' +
      'They stand in the sealed letter, which only the peer can open. An acceptor tells addresses of the own network ' +
      'only to peers behind the same public address, or with --allow-private.',
  },
  {
    name: 'port-mapping',
    type: 'choice',
    group: 'stun',
    commands: ['session', 'doctor'],
    placeholder: 'HOW',
    choices: ['auto', 'off'],
    default: 'auto',
    help: 'whether the router is asked to forward a UDP port while a session lasts',
    details:
      'auto asks the default gateway by PCP, NAT-PMP and UPnP side by side; the first that does it counts. The port is ' +
      'told to the peer, renewed while the session lasts and taken back at its end. Until then anybody can send to ' +
      'it: a program of yours on the passage must tell its peer from strangers, as it must behind many NATs.',
  },
  {
    name: 'response-timeout',
    type: 'seconds',
    group: 'stun',
    commands: ['session'],
    placeholder: 'SECONDS',
    min: 1,
    max: 86_400,
    default: '60',
    legacyEnv: [{ name: 'PLEXUS_RESPONSE_TIMEOUT', scale: 1000 }],
    help: 'how long the inviter waits for the answer',
  },
  {
    name: 'handshake-timeout',
    type: 'seconds',
    group: 'stun',
    commands: ['session'],
    placeholder: 'SECONDS',
    min: 1,
    max: 86_400,
    default: '60',
    legacyEnv: [{ name: 'PLEXUS_HANDSHAKE_TIMEOUT', scale: 1000 }],
    help: 'how long both sides try to punch',
  },
  {
    name: 'once',
    type: 'flag',
    group: 'accept',
    commands: ['session'],
    requires: ['accept'],
    help: 'end after the first passage and its payload; for cron',
  },
  {
    name: 'accept-timeout',
    type: 'seconds',
    group: 'accept',
    commands: ['session'],
    placeholder: 'SECONDS',
    min: 1,
    max: 31_536_000,
    requires: ['accept'],
    help: 'stop accepting after this long; for cron',
  },
] as const satisfies readonly OptionSpec[];

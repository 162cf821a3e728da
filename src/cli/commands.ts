import type { CommandSpec } from './command.js';
import { MEEPO_COMMAND } from './meepo/command.js';
import { SERVER_COMMANDS } from './server-commands.js';

/** Every command: a new one is a file and an entry here. Nothing is imported before it is called. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'session',
    summary: 'connect two machines behind NATs, then run a program on the path between them',
    forms: ['--accept [OPTION]...', '[OPTION]...', 'COMMAND [OPTION]...'],
    details: [
      'One side accepts, the other invites. Both learn their public UDP endpoint from a STUN server, tell each ' +
        'other through the rendezvous in messages that are signed and encrypted with the keys of the application ' +
        'repository, and punch a path through both NATs. Then --exec-command starts on both sides, with the ' +
        'endpoints as arguments.',
      'The options are those of plexus; its older names work too.',
    ],
    examples: [
      ['awl id init me@example.org/laptop --app-repo=repo', 'make an own identity'],
      [
        'awl --accept --app-id=ssh --app-repo=repo --host-info=me@example.org/nas --stun-server=stun.example.org ' +
          '--email-smtps=smtp.example.org --email-imaps=imap.example.org --email-login=me ' +
          '--email-password-file=~/.mailpw --exec-command=./serve.sh',
        'accept everyone in the repository',
      ],
      ['awl --config=awl.ini', 'invite the peer that the file names'],
    ],
    load: async () => (await import('./session.js')).runSession,
  },
  {
    name: 'serve',
    summary: 'accept for several identities and applications in one process',
    forms: ['FILE... [--config=FILE] [OPTION]...'],
    details: [
      'Each FILE is a configuration file of its own, as awl --accept --config=FILE takes it; what all have in common ' +
        'may stand in the file of --config, which gives way to them. The environment wins over both.',
      'They share one DHT node for each network; each has its own lock, limits, sessions and program. Log lines ' +
        'begin with the name of the file, and with --json each event has it as service. Nothing starts if one of ' +
        'the files is wrong; later the failure of one does not end the others.',
    ],
    examples: [['awl serve --config=/etc/awl.ini /etc/awl/*.ini', 'serve all that a folder names']],
    load: async () => (await import('./serve.js')).runServe,
  },
  {
    name: 'id',
    summary: 'make, show, hand over and trust identities',
    forms: [
      'init OWNER/PIN [--bits=N] [--out=FILE]',
      'export [OWNER/PIN] [--out=FILE]',
      'trust FILE|- [--as=OWNER/PIN] [--replace]',
      'list [--long]',
    ],
    details: [
      'An identity is a folder OWNER/PIN of the application repository with cert.crt, private.key (own ones only) ' +
        'and perhaps ca.crt. Owner is a mail address where mail is the rendezvous; the pin tells the machines of ' +
        'one owner apart.',
      'init makes a key and a certificate. export prints what the peer must get; it holds no secret. trust takes ' +
        'what the peer exported, or a certificate. list shows fingerprints, expiry and what is missing.',
    ],
    examples: [
      ['awl id init me@example.org/laptop --app-repo=repo', 'make an own identity'],
      ['awl id export --app-repo=repo --out=me.awl', 'write the file for the peer'],
      ['awl id trust bob.awl --app-repo=repo', 'trust the peer whose file this is'],
    ],
    load: async () => (await import('./id-command.js')).runIdCommand,
  },
  {
    name: 'doctor',
    summary: 'say what kind of NAT this machine is behind, and what that means for connecting',
    forms: ['--stun-server=HOST[:PORT] [OPTION]...', '--rendezvous=NAME [OPTION]...'],
    details: [
      'Asks the STUN servers, reports in plain words what was measured and what could not be, and names one ' +
        'thing to change if something is wrong. It takes less than five seconds. Two servers, or one that ' +
        'speaks RFC 5780, give the full report.',
      'The table tells how peers behind other NATs would be reached: directly, directly with effort (predicted ports or a ' +
        'search, some seconds), or by a relay only. --report writes what was found into a file; with the file of the ' +
        'peer in --peer-report, doctor names how the two would meet.',
      'Where a rendezvous is configured (--rendezvous, --email-..., --dht-..., --file-dir, or the same in --config), it ' +
        'is tried as a session would, side by side with the NAT: can it be reached, does it let us in, after how many ' +
        'milliseconds. It logs in at both mail servers and sends no mail; a DHT carries a letter to an identity made up ' +
        'for it and back. Public nodes of a DHT are asked only if --rendezvous names it.',
      '--meepo looks at what a Meepo node of yours needs: configuration, key and its mode, socket, ports, signaling, and who ' +
        'may reach what. awl meepo doctor does only that.',
      'The exit status is that of the gravest failure.',
    ],
    examples: [
      ['awl doctor --stun-server=stun.example.org,stun2.example.org', 'ask two servers'],
      [
        'awl doctor --stun-server=stun.example.org --report=me.json',
        'write down what the peer may want to know',
      ],
      ['awl doctor --stun-server=stun.example.org --peer-report=bob.json', 'foretell how the two would meet'],
      ['awl doctor --config=awl.ini', 'try what a session with this file would use'],
    ],
    load: async () => {
      const { runDoctor } = await import('./doctor.js');
      return async ({ options, io, log, signal }) => {
        const bind = options.local('stun-client') ?? { address: '0.0.0.0', port: 0 };
        const { configuredRendezvous } = await import('./rendezvous-settings.js');
        const { warn } = await import('./prepare.js');
        const { rendezvous, warnings } = await configuredRendezvous(options, io.env, signal);
        for (const warning of warnings) warn(io, warning);
        const [reportFile, peerReport] = [options.text('report'), options.text('peer-report')];
        const { readReport } = await import('./doctor-report.js');
        return runDoctor(
          {
            ...{ servers: options.servers('stun-server'), bind, json: options.flag('json'), rendezvous, log },
            portMapping: options.choice('port-mapping') !== 'off',
            ...(reportFile !== undefined && { reportFile }),
            ...(peerReport !== undefined && { peer: readReport(peerReport) }),
            ...(options.flag('meepo') && { meepo: { flags: new Map(), io, signal } }),
          },
          io,
          signal,
        );
      };
    },
  },
  ...SERVER_COMMANDS,
  {
    name: 'wormhole',
    summary: 'carry a TCP service over a punched path, as the program wormhole does',
    forms: ['--purpose=import|export [OPTION]...'],
    details: [
      'Takes the command line of wormhole and speaks its wire format, so that the other side may be either. One ' +
        'side exports a TCP service, the other imports it: whoever connects to the importer reaches the service.',
      'The wire format has no encryption worth the name and does not tell who sends: let TLS or ssh run inside. ' +
        'The TUBUS_ variables of the real one change its limits.',
    ],
    examples: [
      [
        'awl --accept ... --exec-command=awl --exec-args="wormhole --purpose=export --service=127.0.0.1:22 ' +
          '--gateway=%innerip%:%innerport% --faraway=%peerip%:%peerport% --obscure=env"',
        'export ssh to whoever may connect',
      ],
      [
        'awl ... --exec-command=awl --exec-args="wormhole --purpose=import --service=127.0.0.1:2222 ' +
          '--gateway=%innerip%:%innerport% --faraway=%peerip%:%peerport% --obscure=env"',
        'then ssh -p 2222 127.0.0.1 reaches it',
      ],
    ],
    load: async () => (await import('./wormhole.js')).runWormholeCommand,
  },
  {
    name: 'service',
    summary: 'make a service of a command line of awl: a systemd unit or a line for cron',
    forms: [
      'print [systemd|cron] [OPTION]... -- AWL-ARGUMENTS',
      'install [systemd] [--replace] [OPTION]... -- AWL-ARGUMENTS',
    ],
    details: [
      'Behind -- stands what follows awl on the command line: a session, serve, hub, dht-node or stun-server. It is checked, ' +
        'quoted and put into a unit that starts it again whenever it ends, and that fences it in: a read-only file ' +
        'system but for the folders that the options name, no new privileges. Servers get an account of their own. ' +
        'Relative paths keep their meaning.',
      'install writes the unit to /etc/systemd/system as root, else to ~/.config/systemd/user, and says which ' +
        'commands of systemctl come next; it runs none of them. A unit that is there is left alone without --replace. ' +
        'Where a program of yours must write elsewhere or needs sudo, loosen the unit with systemctl edit.',
      'The line for cron starts an acceptor each minute; where one is running already, the new one ends at once.',
      'A password in the command line is refused: use --email-password-file.',
    ],
    examples: [
      ['awl service install -- --accept --config=/etc/awl/nas.ini', 'accept whenever this machine is up'],
      ['sudo awl service install -- hub --listen=203.0.113.1', 'run the hub of a team'],
      ['awl service print cron -- --accept --config=$HOME/nas.ini', 'the same without systemd'],
    ],
    load: async () => {
      const { runService } = await import('./service.js');
      const { thisPlace } = await import('./service-place.js');
      return (context) => runService(context, thisPlace());
    },
  },
  {
    name: 'status',
    summary: 'show what the running awls of this user do',
    forms: ['[--json] [--state-dir=DIR]'],
    details: [
      'Asks every awl session that runs as this user and uses the same state folder: its sessions, peers and paths, how ' +
        'each path was won, and what tunnels count: round trip, rates, bytes, connections, loss. --json prints one line of ' +
        'JSON for each process. With none running the exit status is 69.',
    ],
    examples: [['awl status', 'show every session']],
    load: async () => (await import('./status.js')).runStatus,
  },
  MEEPO_COMMAND,
  {
    name: 'completion',
    summary: 'print the completion script of a shell',
    forms: ['bash|zsh|fish'],
    details: ['The package also has them as files in scripts/completions.'],
    examples: [['eval "$(awl completion bash)"', 'complete in this shell']],
    load: async () => (await import('./completion.js')).runCompletion,
  },
  {
    name: 'man',
    summary: 'print a man page as roff',
    forms: ['[PAGE]'],
    details: ['Pages: awl, awl.ini, and awl- with the name of a command: awl-id.'],
    hidden: true,
    load: async () => (await import('./man.js')).runMan,
  },
];

/** The command of that name; `session` is awl without a command and cannot be typed. */
export function findCommand(name: string): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name);
}

/** Names that can be typed and that help shows. */
export function typedCommands(): readonly CommandSpec[] {
  return COMMANDS.filter(({ name, hidden }) => name !== 'session' && !hidden);
}

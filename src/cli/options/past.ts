import type { OptionSpec } from './spec.js';

const BOTH_PUNCHED =
  'awl chooses by --app-qos, and its tunnel uses TCP where that can be punched: leave it out';
const NO_RELAY =
  'awl has a relay of its own kind: awl hub --relay on a machine of yours, --relay-server and --route here';
const IN_REPOSITORY =
  'put the file into the application repository as OWNER/PIN/cert.crt, private.key or ca.crt, and name that with --app-repo';

function past<const Name extends string>(name: Name, row: Pick<OptionSpec, 'help' | 'instead' | 'only'>) {
  return { name, ...row, type: 'text', group: 'past', commands: ['session'], hidden: true } as const;
}

/** Options of older plexus versions that are no mere alias: recognised, so that the error can say what to do. */
export const PAST_OPTIONS = [
  past('udp-route', { only: ['direct', '0'], help: 'direct, or by relay (plexus 3.4)', instead: NO_RELAY }),
  past('tcp-route', { only: ['direct', '0'], help: 'direct, or by relay (plexus 3.4)', instead: NO_RELAY }),
  past('rico-server', { only: [], help: 'relay server (plexus 3.4)', instead: NO_RELAY }),
  past('rico-cert', { only: [], help: 'relay certificate (plexus 3.4)', instead: NO_RELAY }),
  past('rico-key', { only: [], help: 'relay key (plexus 3.4)', instead: NO_RELAY }),
  past('rico-ca', { only: [], help: 'relay authority (plexus 3.4)', instead: NO_RELAY }),
  past('nat-test', {
    only: ['strict', 'faulty', 'simple'],
    help: 'how much a failed NAT test matters (plexus 3.4); never, in awl',
    instead: 'awl always asks STUN for its endpoint, and never lets a NAT test decide whether to try',
  }),
  past('strategy', { only: ['udp'], help: 'udp or tcp (first generation)', instead: BOTH_PUNCHED }),
  past('tcp-trace', { only: ['0'], help: 'TCP tracing (first generation)', instead: BOTH_PUNCHED }),
  past('smime-cert', { only: [], help: 'own certificate (first generation)', instead: IN_REPOSITORY }),
  past('smime-key', { only: [], help: 'own private key (first generation)', instead: IN_REPOSITORY }),
  past('smime-peer', {
    only: [],
    help: 'certificate of the peer (first generation)',
    instead: IN_REPOSITORY,
  }),
  past('smime-ca', { only: [], help: 'authority of the peer (first generation)', instead: IN_REPOSITORY }),
  {
    ...past('stun-ip', { help: 'STUN server without its port (first generation); see --stun-server' }),
    conflicts: ['stun-server'],
  },
  {
    ...past('stun-port', { help: 'port of --stun-ip (first generation)' }),
    type: 'int',
    min: 1,
    max: 65_535,
    requires: ['stun-ip'],
  },
  {
    ...past('bind-ip', { help: 'local address without its port (first generation); see --stun-client' }),
    conflicts: ['stun-client'],
  },
  {
    ...past('bind-port', { help: 'port of --bind-ip (first generation)' }),
    type: 'int',
    min: 0,
    max: 65_535,
    requires: ['bind-ip'],
  },
] as const satisfies readonly OptionSpec[];

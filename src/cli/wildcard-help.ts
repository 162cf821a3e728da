/** The wildcards of `--exec-args`, `--exec-pwd`, `--exec-log` and `--exec-env`, of three plexus generations. */
export const WILDCARDS: readonly (readonly [names: readonly string[], meaning: string])[] = [
  [['inner', 'innerip', 'innerport'], 'own local endpoint, free for the program to bind'],
  [['outer', 'outerip', 'outerport'], 'own endpoint as the outside sees it'],
  [['alien', 'peerip', 'peerport'], 'endpoint of the peer'],
  [['secret'], 'number of 64 bits that both sides share; in arguments everybody on the machine can read it'],
  [['hostid', 'peerid'], 'own identity and that of the peer, OWNER/PIN'],
  [['hostpin', 'peerpin'], 'their pins'],
  [['hostemail', 'peeremail', 'hostmail', 'peermail'], 'their owners'],
  [
    ['qos'],
    'what both sides agreed on; by default udp:server on the accepting side, udp:client on the inviting one',
  ],
  [['hostcert', 'hostkey', 'peercert'], 'paths of the PEM files; in --exec-env only'],
];

/** What the program finds in its environment; docs/EXEC.md has the details. */
export const PAYLOAD_VARIABLES =
  'AWL_ROLE, AWL_QOS, AWL_INNER_IP, AWL_INNER_PORT, AWL_OUTER_IP, AWL_OUTER_PORT, AWL_PEER_IP, AWL_PEER_PORT, AWL_HOST_ID, ' +
  'AWL_PEER_ID, AWL_SECRET, AWL_HOST_CERT, AWL_HOST_KEY, AWL_PEER_CERT and, between two awl, AWL_SESSION_KEY';

/** Variables of plexus that awl honours (spec a.5). */
export const PLEXUS_VARIABLES: readonly (readonly [name: string, meaning: string])[] = [
  ['PLEXUS_RESPONSE_TIMEOUT', 'milliseconds; as --response-timeout'],
  ['PLEXUS_HANDSHAKE_TIMEOUT', 'milliseconds; as --handshake-timeout'],
  [
    'PLEXUS_MAX_POLLING_TIMEOUT, PLEXUS_EMAIL_MAX_POLLING_TIMEOUT',
    'milliseconds; as --email-poll when accepting',
  ],
  [
    'PLEXUS_MIN_POLLING_TIMEOUT, PLEXUS_EMAIL_MIN_POLLING_TIMEOUT',
    'milliseconds; as --email-poll when inviting',
  ],
  [
    'PLEXUS_INVITE_TOKEN, PLEXUS_ACCEPT_TOKEN',
    'second words of the mail subjects (invite, accept); the same on both sides',
  ],
];

import type { DaemonStatus, TeleportationStatus, TransportStatus } from '../../meepo/status.js';
import { oneLine } from '../io.js';
import { bytesText, countText, durationText } from '../quantity.js';

/** Lines of each kind that are shown; `--json` has them all. */
const SHOWN = 100;

/** A node for people; each line without control characters, whoever supplied its words. */
export function nodeText(status: DaemonStatus): string {
  const { transports, teleportations, connected, dialled, refused, strays, mesh, proxy } = status;
  const counts = [
    `${countText(connected, 'transport')} so far`,
    `${countText(dialled, 'connection')} made for peers`,
    `${refused} refused`,
    ...(strays > 0 ? [countText(strays, 'stray message')] : []),
    ...(mesh && mesh.relayed > 0 ? [`${countText(mesh.relayed, 'offer')} passed on`] : []),
    ...(proxy
      ? [
          countText(
            Object.values(proxy).reduce((a, b) => a + b, 0),
            'proxy request',
          ),
        ]
      : []),
  ];
  const lines = [
    `awl meepo ${status.pid} ${status.id}: up ${durationText(status.upMs)}, ${signalingText(status)}`,
    `  ${status.access}`,
    `  ${counts.join(', ')}`,
    ...shown(transports, transportText),
    ...shown(teleportations, teleportationText),
    ...(transports.length === 0 ? ['  no transport now'] : []),
  ];
  return lines.map((line) => `${oneLine(line)}\n`).join('');
}

function shown<T>(all: readonly T[], text: (one: T) => string): string[] {
  const more = all.length > SHOWN ? [`  and ${all.length - SHOWN} more`] : [];
  return [...all.slice(0, SHOWN).map((one) => `  ${text(one)}`), ...more];
}

function signalingText({ signaling }: DaemonStatus): string {
  const words = signaling.map(
    ({ name, where, ready }) => `${name}${where ? ` ${where}` : ''}${ready ? '' : ' (away)'}`,
  );
  return words.length === 0 ? 'no signaling' : `signaling over ${words.join(', ')}`;
}

function transportText({ peerID, state, kind, awl, ageMs, channels, strays }: TransportStatus): string {
  const words = [
    ...(kind ? [kind] : []),
    ...(awl ? ['awl'] : []),
    `for ${durationText(ageMs)}`,
    countText(channels, 'channel'),
    ...(strays > 0 ? [countText(strays, 'stray message')] : []),
  ];
  return `transport ${peerID} ${state}: ${words.join(', ')}`;
}

function teleportationText(one: TeleportationStatus): string {
  const { name, portal, peer, source, sink, channels, connected, sent, received, exposed } = one;
  const words = [
    `${countText(channels, 'connection')} of ${connected}`,
    `sent ${bytesText(sent)}`,
    `received ${bytesText(received)}`,
    ...(exposed ? ['the peer has the secret as a hash'] : []),
  ];
  const from = `${source.network}:${source.address}`;
  const to = `${sink.network}:${sink.address}`;
  const way = portal === 'source' ? `${from} to ${to} of ${peer}` : `${from} of ${peer} to ${to}`;
  return `${portal} ${name}: ${way}: ${words.join(', ')}`;
}

import type { HubStatus } from '../session/hub-status.js';
import { oneLine } from './io.js';
import { bytesText, countText, durationText } from './quantity.js';

/** Relayed sessions shown one by one; `--json` has them all. */
const SHOWN = 100;

type Relay = NonNullable<HubStatus['relay']>;

/** A hub for people; each line without control characters, whoever supplied its words. */
export function hubText({ pid, upMs, stun, dht, relay }: HubStatus): string {
  const lines = [
    `awl hub ${pid} up ${durationText(upMs)}`,
    `  STUN on ${stun.at}: ${stun.answered} answered, ${stun.ignored} ignored, ${stun.limited} over the limit`,
    `  DHT on ${dht.at}: ${countText(dht.nodes, 'node')} known, ${countText(dht.asked, 'request')}, ${dht.unanswered} unanswered`,
    ...(relay ? relayLines(relay) : ['  no relay']),
  ];
  return lines.map((line) => `${oneLine(line)}\n`).join('');
}

function relayLines(relay: Relay): string[] {
  const { at, allowed, sessions, waiting, bytes, refused, dropped, open } = relay;
  const counts = [
    countText(sessions, 'session'),
    `${waiting} waiting`,
    `${bytesText(bytes)} so far`,
    `${refused} refused`,
    `${countText(dropped, 'datagram')} dropped`,
  ];
  const more = open.length > SHOWN ? [`    and ${open.length - SHOWN} more`] : [];
  return [
    `  relay on ${at} for ${countText(allowed, 'identity', 'identities')}: ${counts.join(', ')}`,
    ...open.slice(0, SHOWN).map((one) => `    ${sessionText(one)}`),
    ...more,
  ];
}

function sessionText({ sides, ageMs, bytes, dropped }: Relay['open'][number]): string {
  const ends = sides.map(({ who, at }) => `${who} (${at})`).join(' - ');
  const words = [
    `${ends}${sides.length < 2 ? ' waits' : ''}: for ${durationText(ageMs)}`,
    bytesText(bytes),
    ...(dropped > 0 ? [`${countText(dropped, 'datagram')} dropped`] : []),
  ];
  return words.join(', ');
}

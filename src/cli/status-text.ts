import type { ProcessStatus, SessionStatus, TunnelStatus } from '../session/status.js';
import { oneLine } from './io.js';
import { bytesText, countText, durationText } from './quantity.js';

/** Sessions shown one by one; `--json` has them all. */
const SHOWN = 100;

/** One process and its sessions, for people; each line without control characters, whoever supplied its words. */
export function processText(status: ProcessStatus): string {
  const { sessions } = status;
  const lines = [headLine(status), ...failureLines(status)];
  for (const session of sessions.slice(0, SHOWN)) lines.push(...sessionLines(session));
  if (sessions.length > SHOWN) lines.push(`  and ${sessions.length - SHOWN} more`);
  if (sessions.length === 0) lines.push('  no session now');
  return lines.map((line) => `${oneLine(line)}\n`).join('');
}

function headLine(status: ProcessStatus): string {
  const { pid, mode, app, host, peer, listening, upMs, passages, failures, refusals } = status;
  const what =
    mode === 'accept'
      ? `accepts ${peer || 'everybody'} for ${app} as ${host || 'anybody'}${listening.length > 0 ? ` over ${listening.join(', ')}` : ', not listening yet'}`
      : `invites ${peer} for ${app} as ${host}`;
  const counts = [countText(passages, 'passage'), countText(failures, 'failure'), `${refusals} refused`];
  return `awl ${pid} ${what}; up ${durationText(upMs)}, ${counts.join(', ')}`;
}

function failureLines({ lastFailure }: ProcessStatus): string[] {
  if (!lastFailure) return [];
  const { code, message, agoMs } = lastFailure;
  return [`  last failure ${durationText(agoMs)} ago: ${code}: ${message}`];
}

function sessionLines(session: SessionStatus): string[] {
  const { peer, state, inner, outer, alien, ageMs, upMs, tunnel, pid } = session;
  const words = [
    `  ${session.session} ${peer}: ${state}`,
    ...(pid === undefined ? [] : [`pid ${pid}`]),
    ...(upMs === undefined ? [`for ${durationText(ageMs)}`] : [`up ${durationText(upMs)}`]),
    ...(tunnel?.rttMs === undefined ? [] : [`rtt ${Math.round(tunnel.rttMs)} ms`]),
  ];
  const lines = [words.join(', ')];
  if (alien !== undefined) {
    lines.push(`    ${pathText(session)}: ${inner} (seen as ${outer}) to ${alien}`);
  }
  if (tunnel) lines.push(`    ${trafficText(tunnel)}`, ...endsLines(tunnel));
  return lines;
}

/** How the path was won, and what carries it: `udp, reflexive, confirmed, 312 ms`. */
function pathText({ transport, route, how, confirmed, setupMs }: SessionStatus): string {
  // A relay is all of these at once.
  const path = new Set([transport, route, how]);
  const words = [...path, confirmed ? 'peer confirmed' : 'not confirmed'].filter(Boolean);
  return [...words, ...(setupMs === undefined ? [] : [`set up in ${setupMs} ms`])].join(', ');
}

function trafficText(tunnel: TunnelStatus): string {
  const {
    sent,
    received,
    sendRate,
    receiveRate,
    channels,
    opened,
    refused,
    loss,
    reconnects,
    moves,
    maxDatagram,
    bad = 0,
  } = tunnel;
  const words = [
    `sent ${bytesText(sent)} (${bytesText(sendRate)}/s)`,
    `received ${bytesText(received)} (${bytesText(receiveRate)}/s)`,
    `${countText(channels, 'channel')} of ${opened}`,
    ...(refused > 0 ? [`${refused} refused`] : []),
    ...(maxDatagram === undefined ? [] : [`datagrams up to ${maxDatagram} B`]),
    loss === undefined ? 'loss not known' : `loss ${(loss * 100).toFixed(1)} %`,
    ...(bad > 0 ? [countText(bad, 'bad packet')] : []),
    ...(reconnects > 0 ? [countText(reconnects, 'reconnect')] : []),
    ...(moves > 0 ? [countText(moves, 'move')] : []),
  ];
  return words.join(', ');
}

function endsLines({ imports, offered }: TunnelStatus): string[] {
  return [
    ...(imports.length > 0 ? [`    listens on ${imports.join(', ')}`] : []),
    ...(offered.length > 0 ? [`    the peer exports ${offered.join(', ')}`] : []),
  ];
}

/** One session in one line of a terminal, no longer than `columns`. */
export function progressText({ sessions, mode, upMs }: ProcessStatus, columns: number): string {
  const tunnels = sessions.flatMap(({ tunnel }) => tunnel ?? []);
  const sum = (of: 'sendRate' | 'receiveRate' | 'sent' | 'received' | 'channels') =>
    tunnels.reduce((total, tunnel) => total + tunnel[of], 0);
  const only = sessions.length === 1 ? sessions[0] : undefined;
  const who = only ? `${only.peer} ${only.state}` : countText(sessions.length, 'session');
  const words = [
    sessions.length === 0 ? (mode === 'accept' ? 'waiting for invitations' : 'starting') : who,
    ...(only?.transport ? [only.transport] : []),
    ...(only?.tunnel?.rttMs === undefined ? [] : [`rtt ${Math.round(only.tunnel.rttMs)} ms`]),
    ...(tunnels.length === 0
      ? []
      : [
          `up ${bytesText(sum('sendRate'))}/s (${bytesText(sum('sent'))})`,
          `down ${bytesText(sum('receiveRate'))}/s (${bytesText(sum('received'))})`,
          countText(sum('channels'), 'channel'),
        ]),
    durationText(only?.upMs ?? only?.ageMs ?? upMs),
  ];
  return oneLine(words.join(' | ')).slice(0, Math.max(0, columns - 1));
}

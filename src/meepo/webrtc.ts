import type { RTCPeerConnection } from 'werift';
import { AwlError } from '../errors.js';
import { GATHER_MS } from './limits.js';
import type { LinkEvents, MeepoLink } from './link.js';
import { restrainSdp } from './sdp.js';
import { IGNORED, WebrtcLink } from './webrtc-link.js';
import { widenSockets } from './werift-inside.js';

export interface WebrtcSettings {
  /** `stun:host:port` and `turn:user:password@host:port`. */
  readonly iceServers: readonly string[];
  /** Only this address of ours: tests and demos on one machine. */
  readonly onlyAddress?: string;
}

/** A connection that was begun: its own description, and the path that becomes of it. */
export interface WebrtcOffer {
  readonly sdp: string;
  readonly link: MeepoLink;
  /** Takes the peer's answer; the link's state tells what becomes of it. */
  accept(answer: string): Promise<void>;
}

function iceServer(text: string): { urls: string; username?: string; credential?: string } {
  const [, user, password, place] = /^turn:([^:@]+):([^@]+)@(.+)$/.exec(text) ?? [];
  if (user === undefined || password === undefined) return { urls: text };
  return { urls: `turn:${place}`, username: user, credential: password };
}

async function connection(settings: WebrtcSettings): Promise<RTCPeerConnection> {
  // Five hundred files: only who opens a transport waits for them.
  const { RTCPeerConnection: Connection } = await import('werift');
  const { onlyAddress } = settings;
  return new Connection({
    iceServers: settings.iceServers.map(iceServer),
    ...(onlyAddress !== undefined && {
      iceInterfaceAddresses: { udp4: onlyAddress },
      iceAdditionalHostAddresses: [onlyAddress],
      iceUseIpv6: false,
    }),
  });
}

/** Waits for all candidates: Meepo sends one description and nothing after it. */
async function gathered(pc: RTCPeerConnection): Promise<string> {
  if (pc.iceGatheringState !== 'complete') {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(new AwlError('STUN_UNREACHABLE', 'gather timeout', { hint: 'check transport.iceServers' })),
        GATHER_MS,
      );
      pc.iceGatheringStateChange.subscribe((state) => {
        if (state !== 'complete') return;
        clearTimeout(timer);
        resolve();
      });
    });
  }
  widenSockets(pc);
  return pc.localDescription?.sdp ?? '';
}

/** Begins a connection. @throws AwlError STUN_UNREACHABLE */
export async function offerWebrtc(settings: WebrtcSettings, events: LinkEvents): Promise<WebrtcOffer> {
  const pc = await connection(settings);
  const link = new WebrtcLink(pc, events);
  try {
    // Without a channel there is nothing to offer; the real one makes this very one. It is never opened.
    pc.createDataChannel(IGNORED);
    link.takeOver();
    await pc.setLocalDescription(await pc.createOffer());
    const accept = (answer: string) => describe(pc, 'answer', answer, settings);
    return { sdp: await gathered(pc), link, accept };
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** Takes the peer's description, its candidates restrained, and answers an offer. @throws AwlError MESSAGE_MALFORMED */
async function describe(
  pc: RTCPeerConnection,
  type: 'offer' | 'answer',
  text: string,
  settings: WebrtcSettings,
  described: () => void = () => {},
): Promise<void> {
  const sdp = restrainSdp(text, { allowLoopback: settings.onlyAddress !== undefined });
  try {
    // Without it nothing would ever be gathered.
    if (!/^m=application /m.test(sdp)) throw new Error('it has no data channels');
    await pc.setRemoteDescription({ type, sdp });
    described();
    if (type === 'offer') await pc.setLocalDescription(await pc.createAnswer());
  } catch (cause) {
    throw new AwlError('MESSAGE_MALFORMED', 'the session description cannot be used', { cause });
  }
}

/** Answers an offer. @throws AwlError STUN_UNREACHABLE, MESSAGE_MALFORMED */
export async function answerWebrtc(
  settings: WebrtcSettings,
  offer: string,
  events: LinkEvents,
): Promise<{ readonly sdp: string; readonly link: MeepoLink }> {
  const pc = await connection(settings);
  const link = new WebrtcLink(pc, events);
  try {
    await describe(pc, 'offer', offer, settings, () => link.takeOver());
    return { sdp: await gathered(pc), link };
  } catch (error) {
    await link.close();
    throw error;
  }
}

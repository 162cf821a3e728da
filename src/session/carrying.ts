import { AwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import type { Carrier } from '../tunnel/carrier.js';
import { type Greeted, greet } from '../tunnel/greeting.js';
import { openUdx } from '../tunnel/udx.js';
import { openVolleys } from '../tunnel/volley/open.js';
import { bareFrame, encodeFrame } from '../wire/tunnel-frame.js';
import type { TunnelHello } from '../wire/tunnel-hello.js';
import { deriveTunnelKeys } from '../wire/tunnel-keys.js';
import { TUNNEL_CLOSE_MS } from '../wire/tunnel-limits.js';
import type { Passage } from './passage.js';

/** How a relayed passage was won, and the kind of its carrier. */
export const RELAYED = 'relay';

/**
 * Makes a passage the carrier of a tunnel and exchanges hellos. The passage's port is closed on failure.
 * @throws AwlError TUNNEL_REFUSED, UDP_BIND, TUNNEL_LOST, MESSAGE_*; the signal's reason
 */
export async function greetOver(
  passage: Passage,
  hello: TunnelHello,
  signal: AbortSignal | undefined,
): Promise<Greeted> {
  const carrier = await carrierOf(passage);
  return greet({ carrier, hello, ...(signal && { signal }) });
}

async function carrierOf(passage: Passage): Promise<Carrier> {
  const { sessionKey, role, inner, alien } = passage;
  if (!sessionKey) {
    await passage.close();
    const peer = formatName(passage.peer);
    throw new AwlError('TUNNEL_REFUSED', `${peer} gave no key to encrypt a tunnel with; it is not awl`, {
      hint: 'the built-in tunnel needs awl and sealed messages on both sides; with plexus use --tunnel=tubus or --exec-command',
    });
  }
  try {
    const open = passage.volleys ? openVolleys : openUdx;
    const carrier = await open({
      local: inner,
      peer: alien,
      keys: deriveTunnelKeys(sessionKey, role),
      release: () => passage.handOver(),
    });
    // A port that the router forwards is taken back with the path that it belongs to, be it for datagrams alone.
    const keep = carrier.keepDatagrams;
    let kept = false;
    return {
      ...carrier,
      ...(passage.how === RELAYED && { kind: RELAYED }),
      ...(keep && {
        keepDatagrams: () => {
          kept = true;
          const datagrams = keep();
          return {
            ...datagrams,
            close: () => Promise.all([datagrams.close(), passage.close()]).then(() => {}),
          };
        },
      }),
      close: () => Promise.all([carrier.close(), kept ? undefined : passage.close()]).then(() => {}),
    };
  } catch (error) {
    await passage.close();
    throw error;
  }
}

/** Tells the peer that we do not have the tunnel that it wants to go on with. */
export async function declineResumption({ link }: Greeted): Promise<void> {
  link.write(encodeFrame(bareFrame('bye', 0)));
  await link.close(TUNNEL_CLOSE_MS);
}

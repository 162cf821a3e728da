import type { RelayedSession, RelayStats } from '../relay/desk.js';
import type { StunServerStats } from '../stun/server.js';

/** What a hub's DHT node counts. */
export interface HubNodeStats {
  readonly nodes: number;
  readonly asked: number;
  readonly unanswered: number;
}

/** A hub as `awl status --json` shows it; endpoints are texts. */
export interface HubStatus {
  readonly mode: 'hub';
  readonly pid: number;
  readonly upMs: number;
  readonly stun: StunServerStats & { readonly at: string };
  readonly dht: HubNodeStats & { readonly at: string };
  readonly relay?: RelayStats & {
    readonly at: string;
    /** Identities that may use it. */
    readonly allowed: number;
    readonly open: readonly RelayedSession[];
  };
}

/** Undefined for what another version may say in a way that cannot be shown. */
export function readHubStatus(value: unknown): HubStatus | undefined {
  const { mode, pid, upMs, stun, dht, relay } = value as Partial<HubStatus>;
  const numbers = [pid, upMs, stun?.answered, stun?.ignored, stun?.limited, dht?.nodes, dht?.asked];
  const texts = [stun?.at, dht?.at];
  if (relay) {
    const { sessions, waiting, refused, forwarded, bytes, dropped, allowed, at, open } = relay;
    numbers.push(sessions, waiting, refused, forwarded, bytes, dropped, allowed);
    texts.push(at);
    for (const one of Array.isArray(open) ? open : [undefined]) {
      numbers.push(one?.ageMs, one?.bytes, one?.dropped);
      const sides: unknown = one?.sides;
      for (const side of Array.isArray(sides) ? sides : [undefined]) {
        texts.push(side?.who, side?.at, side?.role);
      }
    }
  }
  const fits =
    mode === 'hub' &&
    numbers.every((one) => typeof one === 'number') &&
    texts.every((one) => typeof one === 'string');
  return fits ? (value as HubStatus) : undefined;
}

import type { ErrorCode } from '../errors.js';
import type { NatReport } from '../wire/nat-report.js';

/** One line of `--json`: what happened, in the order in which it happened. Names are stable. */
export type AwlEvent =
  | { readonly event: 'listening'; readonly rendezvous: string; readonly app: string; readonly host: string }
  | {
      readonly event: 'stun';
      readonly session: string;
      readonly inner: string;
      readonly outer: string;
      readonly ms: number;
    }
  | { readonly event: 'nat'; readonly report: NatReport }
  /** Where both sides may be reached, as the signed messages say: "host 192.168.1.5:40001". */
  | {
      readonly event: 'candidates';
      readonly session: string;
      readonly own: readonly string[];
      readonly peer: readonly string[];
    }
  | { readonly event: 'invited'; readonly session: string; readonly peer: string }
  | { readonly event: 'answered'; readonly session: string; readonly peer: string; readonly ms: number }
  | {
      readonly event: 'passage';
      readonly session: string;
      readonly host: string;
      readonly peer: string;
      /** What the addresses are for. */
      readonly transport: 'udp' | 'tcp';
      readonly inner: string;
      readonly outer: string;
      readonly alien: string;
      readonly how: string;
      readonly confirmed: boolean;
      readonly ms: number;
    }
  | { readonly event: 'payload-started'; readonly session: string; readonly pid: number }
  | {
      readonly event: 'payload-ended';
      readonly session: string;
      readonly status: number | null;
      readonly signal: string | null;
    }
  | {
      readonly event: 'tunnel-open';
      readonly session: string;
      /** Where imports listen. */
      readonly imports: readonly string[];
      /** What the peer exports. */
      readonly offered: readonly string[];
    }
  | {
      /** The path is lost; open connections wait for another one. */
      readonly event: 'reconnecting';
      readonly session: string;
      readonly code: ErrorCode;
      readonly message: string;
    }
  | {
      /** The tunnel went over to a better path while the old one worked. */
      readonly event: 'moved';
      readonly session: string;
      /** As in `reconnected`. */
      readonly path: string;
      readonly alien?: string;
    }
  | {
      /** The tunnel goes on over another path. */
      readonly event: 'reconnected';
      readonly session: string;
      /** `udp`, `tcp` or `relay`. */
      readonly path: string;
      readonly alien?: string;
      /** Since the loss. */
      readonly ms: number;
    }
  | {
      readonly event: 'tunnel-closed';
      readonly session: string;
      readonly reason: string;
      /** Bytes of the stream, sealed. */
      readonly sent: number;
      readonly received: number;
    }
  | {
      readonly event: 'refused';
      readonly code: ErrorCode;
      readonly message: string;
      readonly peer?: string;
    }
  | {
      readonly event: 'failed';
      readonly session?: string;
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint?: string;
      readonly peer?: string;
    };

export type EventSink = (event: AwlEvent) => void;

import type { HostPort } from '../../util/host-port.js';

/** One mail account and the servers that serve it (spec a.1, `--email-*`). TLS from the first byte on both. */
export interface EmailSettings {
  readonly smtps: HostPort;
  readonly imaps: HostPort;
  readonly login: string;
  readonly password: string;
  /** PEM texts of a TLS client certificate; both or neither. */
  readonly cert?: string;
  readonly key?: string;
  /** PEM text: only chains to this CA are accepted (pins), instead of the system's. */
  readonly ca?: string;
  /** Typed by the user: do not verify the servers (plexus' default without `--email-ca`). */
  readonly insecure?: boolean;
  /** Longest wait between two looks at a server without IDLE; default 30 s for invitations, 10 s for answers. */
  readonly pollMs?: number;
  /** Second words of the subjects (plexus PLEXUS_INVITE_TOKEN, PLEXUS_ACCEPT_TOKEN); default: the kinds' names. */
  readonly tokens?: { readonly invite: string; readonly accept: string };
}

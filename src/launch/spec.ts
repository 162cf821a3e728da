/** What to run on a passage (spec a.1-a.3). Wildcards are still in the texts. */
export interface ExecSpec {
  /** Program, searched in PATH; no wildcards, never a shell line. */
  readonly command: string;
  /** Argument text as typed; tokenised first, then each token substituted once. */
  readonly args: string;
  /** Working directory; wildcards allowed. */
  readonly pwd?: string;
  /** File that stdout and stderr are appended to, relative to `pwd`; wildcards allowed. */
  readonly log?: string;
  /** `KEY=VALUE` pairs for the payload's environment; wildcards allowed in values (plexus 3.4 `--exec-env`). */
  readonly env?: readonly string[];
  /** Leave the payload to itself as plexus does, instead of waiting for it as a supervisor. */
  readonly detach?: boolean;
}

import { setMaxListeners } from 'node:events';
import { PROBE_EXTRA_MS, STUN_RETRANSMITS_MS, STUN_SILENCE_RETRANSMITS_MS } from '../constants.js';
import { AwlError } from '../errors.js';
import { type Logger, silentLogger } from '../log.js';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import type { UdpSocket } from '../util/udp.js';
import { type NatReport, UNMEASURED } from '../wire/nat-report.js';
import { testFiltering, testHairpin } from './behaviour.js';
import { classify, type FilteringEvidence, type Heard, type MappingSample } from './classify.js';
import { type BindingAnswer, type Outcome, outcomeError, transact } from './client.js';
import { measureHops } from './hops.js';
import { localAddresses } from './own-address.js';
import { fitSchedule } from './schedule.js';

export interface ProbeOptions {
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  /** Retransmission schedule of the first requests; default: plexus' 4.6 s. */
  readonly schedule?: readonly number[];
}

/** A measurement under way. */
export interface Probe {
  /** Own public endpoint: the first server's answer. Rejects with STUN_UNREACHABLE, or the signal's reason. */
  readonly endpoint: Promise<Endpoint>;
  /** The whole of that first answer: also who gave it. Rejects as `endpoint` does. */
  readonly first: Promise<BindingAnswer>;
  /** At most PROBE_EXTRA_MS later than the endpoint. Never rejects. */
  readonly report: Promise<NatReport>;
  /** When nothing more will come of asking how the NAT maps: all who were asked answered, or gave up. Never rejects. */
  readonly mappings: Promise<void>;
  /** What is known by now. */
  current(): NatReport;
  /** Where the servers saw the socket, in the order in which they were asked, each once. */
  mapped(): readonly Endpoint[];
  /** Smallest TTL that was seen to leave the own NATs; undefined: not known (yet). */
  hops(): number | undefined;
  /** What each server did so far; undefined: nothing yet. */
  servers(): readonly { readonly server: Endpoint; readonly outcome: Outcome | undefined }[];
}

/** Kept of PROBE_EXTRA_MS for closing sockets and classifying. */
const CLOSING_MS = 50;
/** With less time than this left, silence would not tell a filtering NAT from a slow path. */
const MIN_SILENCE_MS = 400;

/**
 * Measures `socket`'s NAT: all servers are asked at once, the endpoint is known after one round trip, and the
 * behaviour tests of RFC 5780 run beside each other for at most PROBE_EXTRA_MS more. The punching socket itself
 * only sends plain requests; filtering and hairpin are tested on sockets of their own.
 */
export function probe(socket: UdpSocket, servers: readonly Endpoint[], options: ProbeOptions = {}): Probe {
  return new Probing(socket, servers, options);
}

class Probing implements Probe {
  readonly endpoint: Promise<Endpoint>;
  readonly first: Promise<BindingAnswer>;
  readonly report: Promise<NatReport>;
  readonly mappings: Promise<void>;
  readonly #socket: UdpSocket;
  readonly #log: Logger;
  readonly #end = new AbortController();
  readonly #asked: { destination: Endpoint; mapped?: Endpoint }[] = [];
  readonly #asking: Promise<unknown>[] = [];
  readonly #repeated: MappingSample[] = [];
  readonly #outcomes: { server: Endpoint; outcome: Outcome | undefined }[];
  readonly #tests: Promise<void>[] = [];
  #discovering = false;
  #dueAt = Number.POSITIVE_INFINITY;
  #filtering: FilteringEvidence | undefined;
  #hairpin: Heard | undefined;
  #hops: number | undefined;

  constructor(socket: UdpSocket, servers: readonly Endpoint[], options: ProbeOptions) {
    this.#socket = socket;
    // A dozen transactions listen at once; that is no leak.
    setMaxListeners(0, this.#end.signal);
    this.#log = options.log ?? silentLogger;
    this.#outcomes = servers.map((server) => ({ server, outcome: undefined }));
    this.first = this.#askServers(options.schedule ?? STUN_RETRANSMITS_MS, options.signal);
    this.endpoint = this.first.then(({ mapped }) => mapped);
    // Who only wants the report must not be ended by a rejection that nobody listens to.
    this.endpoint.catch(() => {});
    this.report = this.#finish(options.signal);
    this.mappings = this.first.then(() => allOf(this.#asking)).catch(() => {});
  }

  current(): NatReport {
    const samples = this.#asked.flatMap(({ destination, mapped }, slot) =>
      mapped ? [{ destination, mapped, slot }] : [],
    );
    if (samples.length === 0) return UNMEASURED;
    return classify({
      local: this.#socket.local,
      localAddresses: localAddresses(),
      samples: [...samples, ...this.#repeated],
      ...(this.#filtering && { filtering: this.#filtering }),
      ...(this.#hairpin && { hairpin: this.#hairpin }),
    });
  }

  hops(): number | undefined {
    // Where the filter lets in anybody, every TTL seems to leave.
    return this.#filtering?.changeBoth === 'silent' || this.#filtering?.changePort === 'silent'
      ? this.#hops
      : undefined;
  }

  mapped(): readonly Endpoint[] {
    const found = this.#asked.flatMap(({ mapped }) => (mapped ? [mapped] : []));
    return found.filter((one, i) => found.findIndex((other) => sameEndpoint(one, other)) === i);
  }

  servers(): readonly { readonly server: Endpoint; readonly outcome: Outcome | undefined }[] {
    return this.#outcomes.map((entry) => ({ ...entry }));
  }

  #askServers(schedule: readonly number[], signal: AbortSignal | undefined): Promise<BindingAnswer> {
    return new Promise((resolve, reject) => {
      let known = false;
      const onAbort = () => {
        this.#end.abort(signal?.reason);
        reject(signal?.reason);
      };
      if (signal?.aborted) return onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#end.signal.addEventListener('abort', () => signal?.removeEventListener('abort', onAbort));
      const asking = this.#outcomes.map(async (entry) => {
        const outcome = await this.#ask(entry.server, schedule);
        entry.outcome = outcome;
        if (outcome.kind !== 'answer') {
          this.#log.debug(outcomeError(entry.server, outcome)?.message ?? '');
          return;
        }
        const { answer } = outcome;
        if (!known) resolve(answer);
        this.#discover(answer);
        if (!known) this.#checkFirst(answer);
        known = true;
      });
      for (const task of asking) this.#test(task);
      void Promise.allSettled(asking).then(() => known || reject(this.#nobodyAnswered()));
    });
  }

  /** One sample of the mapping; the slot is taken at once, so that samples stand in sending order. */
  async #ask(destination: Endpoint, schedule: readonly number[]): Promise<Outcome> {
    const slot: { destination: Endpoint; mapped?: Endpoint } = { destination };
    this.#asked.push(slot);
    const asking = transact(this.#socket, destination, { schedule, signal: this.#end.signal });
    this.#asking.push(asking);
    const outcome = await asking;
    if (outcome.kind === 'answer') slot.mapped = outcome.answer.mapped;
    return outcome;
  }

  /** Tests that need nothing but a plain server: does it repeat itself, and does the NAT hairpin? */
  #checkFirst({ server, mapped }: BindingAnswer): void {
    this.#dueAt = performance.now() + PROBE_EXTRA_MS - CLOSING_MS;
    const { signal } = this.#end;
    this.#test(
      transact(this.#socket, server, { schedule: STUN_RETRANSMITS_MS, signal }).then((again) => {
        if (again.kind === 'answer')
          this.#repeated.push({ destination: server, mapped: again.answer.mapped });
      }),
    );
    if (this.current().nat !== 'yes') return;
    const options = { bindAddress: this.#socket.local.address, signal };
    this.#test(
      testHairpin(server, mapped.address, options).then((heard) => {
        this.#hairpin = heard;
      }),
    );
  }

  /** Tests that need a server with another address: the first such server does them. */
  #discover({ server, alternate }: BindingAnswer): void {
    if (!alternate || this.#discovering) return;
    this.#discovering = true;
    const destinations = [
      alternate,
      { address: alternate.address, port: server.port },
      { address: server.address, port: alternate.port },
    ];
    for (const destination of destinations) {
      if (this.#asked.some((asked) => sameEndpoint(asked.destination, destination))) continue;
      const asking = this.#ask(destination, STUN_RETRANSMITS_MS);
      // Who answers there is no victim that the server named: only then more is sent.
      const hops = destination === alternate ? this.#measureHops(server, alternate, asking) : asking;
      this.#test(hops.then(() => {}));
    }
    const left = this.#dueAt - performance.now() - CLOSING_MS;
    if (left < MIN_SILENCE_MS) return;
    const schedule = fitSchedule(STUN_SILENCE_RETRANSMITS_MS, left);
    const options = { bindAddress: this.#socket.local.address, schedule, signal: this.#end.signal };
    this.#test(
      testFiltering(server, alternate, options).then((evidence) => {
        this.#filtering = evidence;
      }),
    );
  }

  async #measureHops(server: Endpoint, alternate: Endpoint, asking: Promise<Outcome>): Promise<void> {
    if ((await asking).kind !== 'answer') return;
    const left = this.#dueAt - performance.now() - CLOSING_MS;
    if (left < MIN_SILENCE_MS) return;
    const schedule = fitSchedule(STUN_SILENCE_RETRANSMITS_MS, left);
    const { address: bindAddress } = this.#socket.local;
    this.#hops = await measureHops(server, alternate, { bindAddress, schedule, signal: this.#end.signal });
  }

  #test(work: Promise<void>): void {
    this.#tests.push(
      work.catch((error: unknown) => {
        if (!this.#end.signal.aborted) this.#log.debug(`a NAT test could not be made: ${String(error)}`);
      }),
    );
  }

  async #finish(signal: AbortSignal | undefined): Promise<NatReport> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.first;
      timer = setTimeout(() => this.#end.abort(), PROBE_EXTRA_MS - CLOSING_MS);
      await allOf(this.#tests);
    } catch {
      // No endpoint: `first` says why.
    } finally {
      clearTimeout(timer);
      this.#end.abort(signal?.reason);
    }
    return this.current();
  }

  #nobodyAnswered(): AwlError {
    const errors = this.#outcomes.flatMap(({ server, outcome }) => {
      const error = outcome && outcomeError(server, outcome);
      return error ? [error] : [];
    });
    const [first] = errors;
    if (first && errors.length === 1) return first;
    const names = this.#outcomes.map(({ server }) => formatEndpoint(server)).join(', ');
    return new AwlError('STUN_UNREACHABLE', `none of the STUN servers ${names || '(none named)'} answered`, {
      hint: first?.hint ?? 'name a server with --stun-server',
    });
  }
}

/** Waits for all of a list that may still grow: tests start tests, for an answer that comes late may name another address. */
async function allOf(list: readonly Promise<unknown>[]): Promise<void> {
  for (let done = 0; done < list.length; ) {
    done = list.length;
    await Promise.all(list);
  }
}

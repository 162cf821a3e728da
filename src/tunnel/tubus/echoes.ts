import type { TubusSection } from '../../wire/tubus.js';

type Echo = Extract<TubusSection, { type: 'ping-echo' | 'move-echo' }>;

/** Echoes that one burst of forged pings could make us keep. */
const ECHOES_MAX = 256;

/** What the next packet owes the peer for what came from it. */
export class Echoes {
  #echoes: Echo[] = [];
  #edge: number | undefined;
  link = false;
  tear = false;

  add(echo: Echo): void {
    if (this.#echoes.length < ECHOES_MAX) this.#echoes.push(echo);
  }

  /** The peer told its edge; only the last one counts. */
  edge(offset: number): void {
    this.#edge = offset;
  }

  /** The echoes of pings and moves; from now on nothing but an edge is owed. */
  take(): Echo[] {
    this.link = false;
    this.tear = false;
    return this.#echoes.splice(0);
  }

  takeEdge(): TubusSection | undefined {
    const offset = this.#edge;
    this.#edge = undefined;
    return offset === undefined ? undefined : { type: 'edge-echo', offset };
  }
}

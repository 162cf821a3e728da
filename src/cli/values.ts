import type { Endpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import { readChoice, readFlag, splitValue } from './convert.js';
import { parseLocal, parseServer } from './endpoints.js';
import { type OptionName, optionNamed } from './options.js';
import type { Assignment } from './source.js';

/**
 * The options of one call after flag, environment, configuration file and default were merged. Every value has
 * passed its row's checks, so the readers below do not fail.
 */
export class OptionValues {
  readonly #values: ReadonlyMap<string, readonly Assignment[]>;

  constructor(values: ReadonlyMap<string, readonly Assignment[]>) {
    this.#values = values;
  }

  /** True if the user wrote it somewhere, be it as the default. */
  given(name: OptionName): boolean {
    return this.#values.has(name);
  }

  /** The writings that count, for messages and for telling plexus generations apart. */
  written(name: OptionName): readonly Assignment[] {
    return this.#values.get(name) ?? [];
  }

  /** Every name under which anything was written. */
  writtenNames(): Set<string> {
    return new Set([...this.#values.values()].flat().map(({ source }) => source.as));
  }

  /** Every option that was written somewhere. */
  writtenOptions(): OptionName[] {
    return [...this.#values.keys()] as OptionName[];
  }

  flag(name: OptionName): boolean {
    const text = this.#last(name);
    return text !== undefined && readFlag(text) === true;
  }

  /** The text or its default; undefined where there is neither, or an empty text. */
  text(name: OptionName): string | undefined {
    return (this.#last(name) ?? optionNamed(name).default) || undefined;
  }

  texts(name: OptionName): string[] {
    return this.written(name).flatMap(({ value }) => splitValue(optionNamed(name), value));
  }

  /** Whole numbers, and seconds with a fraction. */
  number(name: OptionName): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : Number(text);
  }

  choice(name: OptionName): string | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : readChoice(optionNamed(name), text);
  }

  /** The choices of a repeatable option, each once. */
  choices(name: OptionName): string[] {
    const option = optionNamed(name);
    return [...new Set(this.texts(name).flatMap((text) => readChoice(option, text) ?? []))];
  }

  server(name: OptionName): HostPort | undefined {
    return this.servers(name)[0];
  }

  servers(name: OptionName): HostPort[] {
    const port = optionNamed(name).defaultPort ?? 0;
    return this.texts(name).map((text) => parseServer(text, port));
  }

  local(name: OptionName): Endpoint | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : parseLocal(text, optionNamed(name).defaultPort ?? 0);
  }

  #last(name: OptionName): string | undefined {
    return this.written(name).at(-1)?.value;
  }
}

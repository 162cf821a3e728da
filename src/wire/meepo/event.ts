import { gunzipSync, gzipSync } from 'node:zlib';
import { errorText } from '../../errors.js';
import { type Descriptor, readDescriptor } from './descriptor.js';
import { malformedMeepo, readCount, readText } from './fields.js';

/** Base64 text of one message over Redis; a real one has about 1500 characters. */
export const EVENT_MAX_CHARS = 256 * 1024;
const JSON_MAX_BYTES = 512 * 1024;

/** What nodes tell each other over Redis: an offer, its answer, or why there is none. */
export interface MeepoEvent {
  readonly name: 'wire' | 'wired' | 'error';
  readonly session: number;
  readonly descriptor?: Descriptor;
  readonly error?: string;
}

/** base64(gzip(JSON)) */
export function encodeEvent({ name, session, descriptor, error }: MeepoEvent): string {
  return gzipSync(JSON.stringify({ name, session, descriptor, error })).toString('base64');
}

/** @throws AwlError MESSAGE_MALFORMED; unpacks at most 512 kB, whatever the text claims */
export function decodeEvent(text: string): MeepoEvent {
  if (text.length > EVENT_MAX_CHARS) throw malformedMeepo('it is too large');
  let value: unknown;
  try {
    const json = gunzipSync(Buffer.from(text, 'base64'), { maxOutputLength: JSON_MAX_BYTES });
    value = JSON.parse(json.toString('utf8'));
  } catch (error) {
    throw malformedMeepo(errorText(error).slice(0, 80));
  }
  if (typeof value !== 'object' || value === null) throw malformedMeepo('it is no object');
  const { name, session, descriptor, error } = value as Readonly<Record<string, unknown>>;
  if (name !== 'wire' && name !== 'wired' && name !== 'error') throw malformedMeepo('its name is unknown');
  return {
    name,
    session: readCount(session, 'the session'),
    ...(descriptor !== undefined && descriptor !== null && { descriptor: readDescriptor(descriptor) }),
    ...(typeof error === 'string' && error !== '' && { error: readText(error, 'the error', 4096) }),
  };
}

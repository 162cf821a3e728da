import { AwlError } from '../errors.js';
import { sshString } from './ssh-string.js';

/** Messages of draft-ietf-sshm-ssh-agent: each is a length of 4 bytes, a number and its body. */
const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
export const AGENT_ANSWER_MAX_BYTES = 256 * 1024;
const ED25519 = 'ssh-ed25519';
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

function bad(why: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `no answer of an ssh-agent: ${why}`);
}

/** A string at `at`. @throws AwlError MESSAGE_MALFORMED */
function stringAt(bytes: Buffer, at: number): { readonly value: Buffer; readonly end: number } {
  const start = at + 4;
  const end = start + (bytes.length >= start ? bytes.readUInt32BE(at) : 0);
  if (bytes.length < start || bytes.length < end) throw bad('it is cut off');
  return { value: bytes.subarray(start, end), end };
}

/** An Ed25519 public key as SSH writes it. */
export function encodeSshKey(publicKey: Uint8Array): Buffer {
  return Buffer.concat([sshString(ED25519), sshString(publicKey)]);
}

/** The key of a line of a `.pub` file; undefined if it is no Ed25519 key. */
export function readPublicKeyLine(text: string): Buffer | undefined {
  const [, base64 = ''] = /^ssh-ed25519 ([\w+/=]{1,200})(?:\s|$)/.exec(text.trimStart()) ?? [];
  const blob = Buffer.from(base64, 'base64');
  const publicKey = blob.subarray(-KEY_BYTES);
  return blob.length > KEY_BYTES && encodeSshKey(publicKey).equals(blob) ? publicKey : undefined;
}

export const LIST_REQUEST: Buffer = sshString(Buffer.from([REQUEST_IDENTITIES]));

/** Asks for a signature over `data`, which Ed25519 agents make over the bytes as they are. */
export function encodeSignRequest(publicKey: Uint8Array, data: Uint8Array): Buffer {
  const flags = Buffer.alloc(4);
  return sshString(
    Buffer.concat([Buffer.from([SIGN_REQUEST]), sshString(encodeSshKey(publicKey)), sshString(data), flags]),
  );
}

/**
 * The body of the first whole message, and its number; undefined while it is not complete.
 * @throws AwlError MESSAGE_MALFORMED
 */
export function readAgentMessage(
  bytes: Buffer,
): { readonly type: number; readonly body: Buffer } | undefined {
  if (bytes.length < 4) return undefined;
  const length = bytes.readUInt32BE(0);
  if (length < 1 || length > AGENT_ANSWER_MAX_BYTES) throw bad('its length is not sensible');
  if (bytes.length < 4 + length) return undefined;
  return { type: bytes.readUInt8(4), body: bytes.subarray(5, 4 + length) };
}

/** True if the agent has that key. @throws AwlError MESSAGE_MALFORMED */
export function agentHas(
  answer: { readonly type: number; readonly body: Buffer },
  publicKey: Uint8Array,
): boolean {
  const { type, body } = answer;
  if (type !== IDENTITIES_ANSWER || body.length < 4) throw bad('it lists no keys');
  const wanted = encodeSshKey(publicKey);
  let at = 4;
  for (let left = body.readUInt32BE(0); left > 0; left--) {
    const { value, end } = stringAt(body, at);
    if (value.equals(wanted)) return true;
    at = stringAt(body, end).end;
  }
  return false;
}

/** The signature of a response. @throws AwlError MESSAGE_MALFORMED; also where the agent refuses */
export function readSignature({ type, body }: { readonly type: number; readonly body: Buffer }): Buffer {
  if (type !== SIGN_RESPONSE) throw bad('it does not sign');
  const { value } = stringAt(body, 0);
  const kind = stringAt(value, 0);
  const signature = stringAt(value, kind.end).value;
  if (kind.value.toString('latin1') !== ED25519 || signature.length !== SIGNATURE_BYTES) {
    throw bad('its signature is of another kind');
  }
  return Buffer.from(signature);
}

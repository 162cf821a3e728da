import { SIGNING_TIME_WINDOW_MS } from '../constants.js';
import { AwlError, isAwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import type { HostIdentity } from '../identity/repository.js';
import { publicKeyInfo } from '../identity/x509.js';
import { decodeExtension, type Extension, encodeExtension } from '../wire/extension.js';
import { checkSize } from '../wire/mime.js';
import { decodeMsgpack, encodeMsgpack } from '../wire/msgpack.js';
import { decryptBlob, encryptBlob } from '../wire/opendht-cipher.js';
import { decodeDat, isSigned, type SignedDat, signDat } from '../wire/opendht-value.js';
import { decodeReference, encodeReference } from '../wire/reference.js';
import { undecryptable } from '../wire/rsa-transport.js';
import { notPinned } from '../wire/smime-signed.js';
import type { Opened, OpenOptions, Sealed, SealOptions } from './sealing.js';
import {
  bindExtension,
  checkBinding,
  checkOpening,
  checkSealing,
  complete,
  missingMaterial,
  signedDigest,
  stale,
} from './sealing-rules.js';
import type { Envelope } from './types.js';

/** Begins the user type of our values; base64url of the encrypted extension follows. plexus does not look there. */
const EXTENSION_PREFIX = 'awl1.';

/**
 * Encrypts the reference to the peer's certificate and signs the result, as plexus' OpenDHT values are (spec d); the
 * extension travels encrypted in the signed user type. There is no form in clear.
 * @throws AwlError as the S/MIME sealing
 */
export function sealValue(options: SealOptions): Sealed {
  const parties = complete(options);
  if (!parties) throw missingMaterial(options);
  const { host, peer } = parties;
  const { reference, now } = options;
  checkSealing(parties, now);
  const recipient = peer.cert.x509.publicKey;
  const extension = options.extension && bindExtension(options.extension, options, peer.cert);
  const hidden = extension && encryptBlob(encodeExtension(extension), recipient);
  const { dat, body } = signDat(
    {
      owner: publicKeyInfo(host.cert),
      data: encryptBlob(encodeMsgpack(encodeReference(reference)), recipient),
      ...(hidden && { userType: `${EXTENSION_PREFIX}${hidden.toString('base64url')}` }),
    },
    host.key,
  );
  return { form: 'opendht', bytes: dat, digest: signedDigest(host.cert, body) };
}

/**
 * Opens what the pinned peer sealed for us, as the S/MIME sealing does. A value of plexus names neither app nor time:
 * only its digest, remembered for long, stops a replay.
 * @throws AwlError as the S/MIME sealing
 */
export function openValue(envelope: Pick<Envelope, 'form' | 'bytes'>, options: OpenOptions): Opened {
  checkSize(envelope.bytes);
  if (envelope.form !== 'opendht') {
    throw new AwlError('MESSAGE_PLAINTEXT', `a message that is no signed OpenDHT value (${envelope.form})`);
  }
  const parties = complete(options);
  if (!parties) throw missingMaterial(options);
  const { host, peer } = parties;
  checkOpening(parties, options.now);
  const value = decodeDat(Buffer.from(envelope.bytes));
  if (!value.owner.equals(publicKeyInfo(peer.cert))) {
    throw notPinned(`the value belongs to another key than that of ${formatName(peer.name)}`);
  }
  // Before anything is decrypted: only the pinned peer gets our key to work.
  if (!isSigned(value)) throw notPinned(`the value does not bear the signature of ${formatName(peer.name)}`);
  const reference = decodeReference(decryptText(value.data, host));
  const extension = openExtension(value, host);
  if (extension) {
    checkBinding(extension, options, host);
    checkExpiry(extension, options.now);
  }
  return { reference, ...(extension && { extension }), digest: signedDigest(peer.cert, value.body) };
}

function decryptText(data: Buffer, host: HostIdentity): string {
  const plain = decryptBlob(data, host.key);
  let text: unknown;
  try {
    text = decodeMsgpack(plain);
  } catch (error) {
    if (!isAwlError(error)) throw error;
  }
  // The same answer as to a wrong key: bad padding ends here as noise.
  if (typeof text !== 'string') throw undecryptable();
  return text;
}

function openExtension({ userType }: SignedDat, host: HostIdentity): Extension | undefined {
  if (!userType?.startsWith(EXTENSION_PREFIX)) return undefined;
  const hidden = Buffer.from(userType.slice(EXTENSION_PREFIX.length), 'base64url');
  return decodeExtension(decryptBlob(hidden, host.key));
}

/** The value has no time of its own; its expiry says when it was made, to the length of the window. */
function checkExpiry({ exp }: Extension, now: Date): void {
  const left = exp * 1000 - now.getTime();
  if (left < 0) throw stale('it has expired');
  if (left > 2 * SIGNING_TIME_WINDOW_MS) throw stale('it was made in the future');
}

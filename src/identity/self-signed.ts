import { generateKeyPair, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import forge from 'node-forge';

/** A fresh key and the certificate it signed for itself, both PEM; the key is PKCS#8 without a passphrase. */
export interface SelfSigned {
  readonly key: string;
  readonly cert: string;
}

export interface SelfSignedOptions {
  /** RSA modulus length in bits. */
  readonly bits: number;
  readonly from: Date;
  readonly to: Date;
}

/**
 * Makes an RSA key and a self-signed X.509v3 certificate (RFC 5280) with CN = `owner`, as plexus users make theirs
 * with `openssl req -x509`: what S/MIME needs and no more, and no authority over others.
 */
export async function selfSigned(owner: string, options: SelfSignedOptions): Promise<SelfSigned> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: options.bits,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const cert = forge.pki.createCertificate();
  cert.publicKey = forge.pki.publicKeyFromPem(publicKey);
  cert.serialNumber = serialNumber();
  cert.validity.notBefore = options.from;
  cert.validity.notAfter = options.to;
  // "@" is not in PrintableString, forge's default.
  const name = [{ name: 'commonName', value: owner, valueTagClass: Number(forge.asn1.Type.UTF8) }];
  cert.setSubject(name);
  cert.setIssuer(name);
  cert.setExtensions([
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'subjectKeyIdentifier' },
    ...(owner.includes('@') ? [{ name: 'subjectAltName', altNames: [{ type: 1, value: owner }] }] : []),
  ]);
  cert.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create());
  return { key: privateKey, cert: forge.pki.certificateToPem(cert).replaceAll('\r\n', '\n') };
}

/** 16 random octets as hex: messages name their signer by issuer and serial, so two of one owner must differ. */
function serialNumber(): string {
  const serial = randomBytes(16);
  // Positive, and of the full length in DER.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial.toString('hex');
}

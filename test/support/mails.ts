import { entity } from './backend-contract.js';

/** A mail of a stranger, as it lies in any inbox. */
export function foreignMail(n = 0): string {
  return `From: Somebody <somebody@elsewhere.test>\nTo: bob@awl.test\nSubject: Newsletter ${n}\nDate: Sat, 21 Nov 2026 09:00:00 +0000\n\nHello ${n}\n`;
}

export interface MailParts {
  readonly from?: string;
  readonly to?: string;
  readonly subject?: string;
  /** Further header lines, each with its line end. */
  readonly more?: string;
  readonly text?: string;
}

/** A sealed mail from alice's laptop to bob's nas for app `x`, with any part of it forged. */
export function letterMail(o: MailParts = {}): string {
  const { from = 'laptop <alice@awl.test>', to = 'nas <bob@awl.test>', subject = 'x invite', more = '' } = o;
  const body = Buffer.from(entity(o.text ?? 'aGVsbG8=')).toString();
  return `From: ${from}\nTo: ${to}\nSubject: ${subject}\n${more}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=----61\n\n------61\n${body}\n------61--\n`;
}

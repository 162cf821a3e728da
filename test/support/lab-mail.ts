import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll } from 'vitest';
import type { Lab } from './lab.js';

export const ROOT = resolve(import.meta.dirname, '../..');
const SCRIPT = join(ROOT, 'scripts/mailserver');
const ENV = { ...process.env, MAIL_DOMAIN: 'awl.test' };
const IP = '192.0.2.10';

/** A real Exim and Dovecot in the server namespace of a lab. */
export class LabMail {
  readonly #lab: Lab;
  readonly #dir: string;

  private constructor(lab: Lab, dir: string) {
    this.#lab = lab;
    this.#dir = dir;
  }

  static async start(lab: Lab): Promise<LabMail> {
    const dir = mkdtempSync(join(tmpdir(), 'awl-labmail-'));
    afterAll(() => rmSync(dir, { recursive: true, force: true }));
    const { status, stdout, stderr } = await lab.run('s', SCRIPT, ['start', dir, IP], {
      env: ENV,
      timeoutMs: 30_000,
    });
    if (status !== 0) throw new Error(`mail server: ${stdout}${stderr}`);
    return new LabMail(lab, dir);
  }

  /** The e-mail flags of one account. */
  flags(user: 'alice' | 'bob'): string[] {
    const password = join(this.#dir, `${user}.password`);
    writeFileSync(password, `${user}pw\n`, { mode: 0o600 });
    return [
      `--email-smtps=${IP}:9465`,
      `--email-imaps=${IP}:9993`,
      `--email-login=${user}@awl.test`,
      `--email-password-file=${password}`,
      `--email-ca=${join(this.#dir, 'tls/ca.crt')}`,
    ];
  }

  async stop(): Promise<void> {
    await this.#lab.run('s', SCRIPT, ['stop', this.#dir], { env: ENV, timeoutMs: 30_000 });
  }
}

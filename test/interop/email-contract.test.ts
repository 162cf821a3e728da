import { openEmail } from '../../src/rendezvous/email/backend.js';
import { backendContract, type ContractBench } from '../support/backend-contract.js';
import { MailServer } from '../support/mailserver.js';
import { needs } from '../support/needs.js';

async function mailBench(): Promise<ContractBench> {
  const server = await MailServer.start();
  return {
    open: (side, ctx) => openEmail(server.settings(side), ctx, { reconnectBaseMs: 100 }),
    litter: (what, app) => {
      const head = `From: laptop <alice@awl.test>\nTo: nas <bob@awl.test>\nSubject: ${app} invite\n`;
      const text = {
        garbage: `${head}Content-Type: multipart/mixed; boundary=x\n\n--x\n\0\x01\xff\n--x--\n`,
        empty: `${head}\n`,
        huge: `${head}\n${`${'x'.repeat(70)}\n`.repeat(70_000)}`,
      }[what];
      return server.deliver('bob', [text]);
    },
    stored: () => server.count('bob'),
    disrupt: () => server.restart(),
    close: () => server.close(),
  };
}

if (needs('dovecot', 'exim4', 'root')) backendContract('email', mailBench);

import { connect } from 'node:net';
import { AwlError, errorText } from '../errors.js';
import { formatMeepoId } from '../wire/meepo/id.js';
import { type MeepoKeys, meepoVerify } from '../wire/meepo/keys.js';
import {
  AGENT_ANSWER_MAX_BYTES,
  agentHas,
  encodeSignRequest,
  LIST_REQUEST,
  readAgentMessage,
  readSignature,
} from '../wire/ssh-agent.js';

/** Some agents ask their user each time. */
const ANSWER_MS = 30_000;

/** One question and its answer, over a connection of its own. */
function ask(path: string, request: Buffer): Promise<{ readonly type: number; readonly body: Buffer }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    let waiting = Buffer.alloc(0);
    const fail = (why: string, cause?: unknown) => {
      socket.destroy();
      reject(
        new AwlError('IDENTITY_INVALID', `the ssh-agent ${why}`, { hint: 'check SSH_AUTH_SOCK', cause }),
      );
    };
    socket.setTimeout(ANSWER_MS, () => fail('does not answer'));
    socket.once('error', (error) => fail(`cannot be asked: ${errorText(error)}`, error));
    socket.once('end', () => fail('hung up'));
    socket.on('data', (data) => {
      waiting = Buffer.concat([waiting, data]);
      try {
        if (waiting.length > AGENT_ANSWER_MAX_BYTES + 4) throw new Error('it says too much');
        const message = readAgentMessage(waiting);
        if (!message) return;
        socket.destroy();
        resolve(message);
      } catch (error) {
        fail(`is none: ${errorText(error)}`, error);
      }
    });
    socket.write(request);
  });
}

/**
 * The identity whose private half an ssh-agent has. It signs all that a node says, so that the node can call others; offers of
 * others are encrypted to the key itself, and agents have no way to open them.
 * @param path the agent's socket
 * @throws AwlError IDENTITY_INVALID if the agent cannot be asked, or has not that key
 */
export async function agentKeys(path: string, publicKey: Buffer): Promise<MeepoKeys> {
  if (!agentHas(await ask(path, LIST_REQUEST), publicKey)) {
    throw new AwlError('IDENTITY_INVALID', 'the ssh-agent has not the private half of this key', {
      hint: 'give it to the agent with ssh-add, or name the private key file',
    });
  }
  const signer = async (message: Buffer) => {
    const signature = readSignature(await ask(path, encodeSignRequest(publicKey, message)));
    if (meepoVerify(publicKey, message, signature)) return signature;
    throw new AwlError('IDENTITY_INVALID', 'the ssh-agent signs something else');
  };
  return { id: formatMeepoId(publicKey), publicKey, seed: Buffer.alloc(0), signer };
}

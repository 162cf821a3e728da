import { type Endpoint, sameEndpoint } from '../../src/util/endpoint.js';
import { UdpSocket } from '../../src/util/udp.js';
import { type DecodedStun, decodeStun, encodeStun, type StunMessage } from '../../src/wire/stun.js';

/** What a fake server sends for a request: messages or raw bytes, each from its own socket or from another one. */
export type FakeReply = { readonly bytes: Uint8Array; readonly via?: UdpSocket };
export type FakeBehaviour = (request: DecodedStun, from: Endpoint, data: Buffer) => readonly FakeReply[];

/** A STUN server on loopback that does whatever the test says. */
export class FakeStunServer {
  readonly socket: UdpSocket;
  /** Every request as it arrived. */
  readonly requests: Buffer[] = [];

  private constructor(socket: UdpSocket, behave: FakeBehaviour) {
    this.socket = socket;
    socket.subscribe((data, from) => {
      const request = decodeStun(data);
      if (request?.kind !== 'request' || sameEndpoint(from, socket.local)) return;
      this.requests.push(data);
      for (const { bytes, via } of behave(request, from, data)) void (via ?? socket).send(bytes, from);
    });
  }

  static async start(behave: FakeBehaviour, address = '127.0.0.1'): Promise<FakeStunServer> {
    return new FakeStunServer(await UdpSocket.bind({ address, port: 0 }), behave);
  }

  get endpoint(): Endpoint {
    return this.socket.local;
  }

  close(): Promise<void> {
    return this.socket.close();
  }
}

/** An honest modern answer; `fields` replace what the test wants otherwise. */
export function success(
  request: DecodedStun,
  mapped: Endpoint,
  fields: Partial<StunMessage> = {},
): FakeReply {
  return { bytes: encodeStun({ kind: 'success', id: request.id, xorMapped: mapped, ...fields }) };
}

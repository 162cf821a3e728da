import { type Endpoint, familyOf } from './endpoint.js';
import { IPPROTO_IP, IPPROTO_IPV6, libc, SOCK_CLOEXEC, SOCK_DGRAM, socketOption } from './libc.js';
import { AF_INET, AF_INET6, socketAddress } from './socket-address.js';

/** Linux' numbers (linux/in.h, linux/in6.h). */
const IP_MTU = 14;
const IPV6_MTU = 24;

/**
 * The largest packet, in bytes with its IP header, that the kernel knows to pass to an address in one piece: that of the
 * own interface, less once a router on the way has complained (RFC 1191, RFC 8201). Nothing is sent. Undefined where
 * {@link libc} is, and where no way leads there.
 */
export function pathMtu(to: Endpoint): number | undefined {
  const calls = libc();
  if (!calls) return undefined;
  const six = familyOf(to) === 6;
  const fd = calls.socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return undefined;
  try {
    const address = socketAddress(to);
    if (calls.connect(fd, address, address.length) !== 0) return undefined;
    const [level, option] = six ? [IPPROTO_IPV6, IPV6_MTU] : [IPPROTO_IP, IP_MTU];
    return socketOption(calls, fd, level, option, 4)?.readUInt32LE();
  } finally {
    calls.close(fd);
  }
}

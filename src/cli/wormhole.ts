import { AwlError } from '../errors.js';
import { redact } from '../log.js';
import { limitsFrom } from '../tunnel/tubus/limits.js';
import { runWormhole } from '../tunnel/wormhole/run.js';
import { type Endpoint, familyOf } from '../util/endpoint.js';
import { formatHostPort, type HostPort } from '../util/host-port.js';
import { lookupName } from '../util/name-lookup.js';
import type { CommandContext } from './command.js';
import { warn } from './prepare.js';
import type { OptionValues } from './values.js';

const U64_MAX = 0xffff_ffff_ffff_ffffn;

/**
 * `awl wormhole`: one end of a wormhole, until a signal comes or the other side closes it. Resolves to 0.
 * @throws AwlError USAGE_MISSING, USAGE_BAD_VALUE, TCP_BIND, UDP_BIND, HANDSHAKE_TIMEOUT, TUNNEL_LOST
 */
export async function runWormholeCommand({ options, io, log, signal }: CommandContext): Promise<number> {
  const purpose = options.choice('purpose') === 'export' ? 'export' : 'import';
  required(options.choice('purpose'), 'purpose');
  const service = withPort(required(options.server('service'), 'service'), 'service');
  const gateway = required(options.local('gateway'), 'gateway');
  const far = withPort(required(options.server('faraway'), 'faraway'), 'faraway');
  const secret = readSecret(options, io.env);
  redact(String(secret));
  warn(
    io,
    `masking is no encryption: who sees the datagrams can read ${formatHostPort(service)}; use TLS or ssh inside`,
  );
  try {
    const faraway = await resolveFaraway(far, gateway, signal);
    await runWormhole({
      purpose,
      service,
      gateway,
      faraway,
      secret,
      limits: limitsFrom(io.env),
      log,
      signal,
    });
  } catch (error) {
    // Stopped while it waited for the other side: that is no failure of a service.
    if (!signal.aborted) throw error;
  }
  return 0;
}

function required<T>(value: T | undefined, name: string): T {
  if (value !== undefined) return value;
  throw new AwlError('USAGE_MISSING', `--${name} is missing`, {
    hint: 'awl wormhole needs --purpose, --service, --gateway and --faraway',
  });
}

function withPort(place: HostPort, name: string): HostPort {
  if (place.port > 0) return place;
  throw new AwlError('USAGE_BAD_VALUE', `--${name} has no port`, { hint: 'write it as ADDRESS:PORT' });
}

async function resolveFaraway(far: HostPort, gateway: Endpoint, signal: AbortSignal): Promise<Endpoint> {
  const family = familyOf(gateway);
  const given = { address: far.host, port: far.port };
  if (far.host.includes(':') || /^[\d.]+$/.test(far.host)) {
    if (familyOf(given) === family) return given;
    throw new AwlError('USAGE_BAD_VALUE', `--faraway is no IPv${family} address, but --gateway is one`, {
      hint: 'give both in the same family',
    });
  }
  try {
    return { address: await lookupName(far.host, family, signal), port: far.port };
  } catch (cause) {
    throw new AwlError('USAGE_BAD_VALUE', `--faraway: no IPv${family} address of ${far.host} is known`, {
      hint: 'write it as an address',
      cause,
    });
  }
}

function readSecret(options: OptionValues, env: CommandContext['io']['env']): bigint {
  const written = options.text('obscure') ?? '0';
  const text = written === 'env' ? (env['AWL_SECRET'] ?? '') : written;
  const value = /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
  if (value !== undefined && value <= U64_MAX) return value;
  // The value may be most of a secret: it is not repeated.
  const place = written === 'env' ? 'AWL_SECRET, which --obscure=env names,' : '--obscure';
  throw new AwlError('USAGE_BAD_VALUE', `${place} is no number from 0 to 2^64 - 1`, {
    hint: 'give both sides the same decimal number, as plexus and awl do with %secret%',
  });
}

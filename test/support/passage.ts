import type { WildcardValues } from '../../src/launch/wildcards.js';

/** A passage between alice (inviting) and bob with every value different from every other. */
export const PASSAGE: WildcardValues = {
  role: 'invite',
  inner: { address: '127.0.0.1', port: 0 },
  outer: { address: '198.51.100.10', port: 40001 },
  peer: { address: '203.0.113.10', port: 40002 },
  secret: 15_377_321_267_172_762_77n,
  hostName: { owner: 'alice@example.org', pin: 'laptop' },
  peerName: { owner: 'bob@example.org', pin: 'nas' },
};

import type { RedisPlace } from './place.js';

/** What the rendezvous over Meepo's signaling server needs. */
export interface MeepoSettings {
  readonly redis: RedisPlace;
}

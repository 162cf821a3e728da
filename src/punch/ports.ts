import { PORT_MAX, PORT_MIN } from './limits.js';

/** Ports that a NAT gives out. */
const COUNT = PORT_MAX - PORT_MIN + 1;

/** So many ports further, or back; a counter that left the ports a NAT gives out begins anew at the lower end. */
export function portAfter(port: number, distance: number): number {
  return PORT_MIN + modulo(port - PORT_MIN + distance);
}

/** After how many steps, each of `step` ports, a counter that stands at `from` has reached or passed `to`. */
export function stepsBetween(from: number, to: number, step: number): number {
  const distance = modulo(step < 0 ? from - to : to - from);
  return Math.ceil(distance / Math.abs(step));
}

function modulo(offset: number): number {
  return ((offset % COUNT) + COUNT) % COUNT;
}

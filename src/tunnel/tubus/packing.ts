import { sectionBytes, type TubusSection } from '../../wire/tubus.js';
import { TUBUS_HEADER_BYTES } from '../../wire/tubus-constants.js';

/**
 * Lays sections out in datagrams of at most `packetBytes`, in tubus' own order: links, pings and move echoes by
 * number, then the edge, the moves, the edge's echo.
 * @param control sections but moves and the edge's echo, in order
 * @param nextMove a move that takes no more than `room` bytes with its header, until there is none
 */
export function pack(
  control: TubusSection[],
  nextMove: (room: number) => TubusSection | undefined,
  edgeEcho: TubusSection | undefined,
  packetBytes: number,
): TubusSection[][] {
  const packets: TubusSection[][] = [];
  let last = edgeEcho;
  let done = 0;
  for (;;) {
    const sections: TubusSection[] = [];
    let room = packetBytes - TUBUS_HEADER_BYTES - (last ? sectionBytes(last) : 0);
    for (let next = control[done]; next && sectionBytes(next) <= room; next = control[++done]) {
      sections.push(next);
      room -= sectionBytes(next);
    }
    if (done === control.length) {
      for (let move = nextMove(room); move; move = nextMove(room)) {
        sections.push(move);
        room -= sectionBytes(move);
      }
    }
    if (last) sections.push(last);
    last = undefined;
    if (sections.length === 0) return packets;
    packets.push(sections);
  }
}

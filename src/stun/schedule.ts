/** A retransmission schedule cut to `ms` in total: whole waits while they fit, then what is left. */
export function fitSchedule(schedule: readonly number[], ms: number): number[] {
  const fitted: number[] = [];
  let left = ms;
  for (const wait of schedule) {
    if (left <= 0) break;
    fitted.push(Math.min(wait, left));
    left -= wait;
  }
  return fitted;
}

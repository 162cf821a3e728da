/** Edits (insert, delete, replace, swap of neighbours) from `a` to `b`; more than `max` reads as `max + 1`. */
function distance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) > max) return max + 1;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      }
      next.push(cost);
    }
    before = row;
    row = next;
  }
  return Math.min(row[b.length] ?? 0, max + 1);
}

/** The candidate that was most probably meant, if one is near enough. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  // Bounds the work for hostile input: no name is this long.
  if (word.length > 64) return undefined;
  const max = word.length <= 4 ? 1 : 3;
  let best: string | undefined;
  let least = max + 1;
  for (const candidate of candidates) {
    const edits = distance(word, candidate, max);
    if (edits < least) {
      best = candidate;
      least = edits;
    }
  }
  return best ?? candidates.find((candidate) => word.length >= 3 && candidate.includes(word));
}

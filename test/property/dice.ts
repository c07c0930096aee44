/** Pseudo-random numbers, the same ones for the same seed (mulberry32). */
export function dice(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Seeds the library's random numbers until it is disposed. */
export async function withDice<T>(seed: number, work: () => Promise<T>): Promise<T> {
  const { random } = Math;
  Math.random = dice(seed);
  try {
    return await work();
  } finally {
    Math.random = random;
  }
}

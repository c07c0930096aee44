/** Pseudo-random numbers from 0 to 1, the same ones for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Runs work with repeatable random numbers: the library and its peers draw their jitter from `Math.random`. */
export async function seeded<T>(seed: number, work: () => Promise<T>): Promise<T> {
  const { random } = Math;
  Math.random = generator(seed);
  try {
    return await work();
  } finally {
    Math.random = random;
  }
}

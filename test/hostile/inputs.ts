/** Total number of inputs of all kinds, and their seed: `npm run test:hostile -- --help`. */
const { HOSTILE_INPUTS = '1500', HOSTILE_SEED = '20261129' } = process.env;

export const inputs = Number(HOSTILE_INPUTS);
export const seed = HOSTILE_SEED === 'random' ? Date.now() % 2 ** 31 : Number(HOSTILE_SEED);
/** Whether there are more inputs than the few of `npm test`. */
export const whole = 'HOSTILE_INPUTS' in process.env;
/** Whether each consumer gets every answer of the table: `npm run test:hostile -- --every-answer`. */
export const everyAnswer = process.env['HOSTILE_EVERY_ANSWER'] === 'true';

/** Prints the number of inputs of a kind. */
export function counted(kind: string, count: number): void {
  if (whole) console.log(`hostile ${kind}: ${count} inputs, seed ${seed}`);
}

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ok, raw, TABLE, type Answer } from './answers.js';
import { World } from './consumers.js';
import type { Consumer } from './server.js';
import { everyAnswer, whole } from './inputs.js';
import { noStackTraces } from './no-stack-traces.js';

noStackTraces();
let world: World;
beforeAll(async () => void (world = await new World().start()));
afterAll(() => world.close());

const CONSUMERS = Object.entries(new World().consumers);
const NAMES = CONSUMERS.map(([name]) => name);

it.each(NAMES)('a good answer works: %s', async (name) => {
  const { path, ask } = world.consumers[name] as Consumer;
  expect(await world.clock.until(ask()), path).toBeDefined();
});

/** Calls of KV and starts of applications have much in common: each gets a third of the answers, unless asked for all. */
const THIRDS = new Set(CONSUMERS.filter(([, one]) => one.brief || one.application).map(([name]) => name));
const meets = (row: number, name: string, number: number) => {
  if (!whole) return row % NAMES.length === number;
  return everyAnswer || !THIRDS.has(name) || (row + number) % 3 === 0;
};

// `npm test` gives each answer to one consumer, `npm run test:hostile` to all but those of `THIRDS`.
describe.each(NAMES.map((name, number) => [name, number] as const))('%s', (name, number) => {
  it.each(TABLE.filter((_, row) => meets(row, name, number)))('%s', async (_what, answer) => {
    await world.meet(name, answer);
  });
});

/** Processor time in microseconds, the least of three tries. */
async function cost(work: () => Promise<unknown>): Promise<number> {
  let least = Infinity;
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, user + system);
  }
  return least;
}

const many = (count: number, text: string) => Array.from({ length: count }, (_, index) => `${text}${index}`);

it.each<[string, (size: number) => Answer]>([
  [
    'texts in data, and ten warnings',
    (n) => ok({ data: many(n, 'text-'), warnings: many(10, 'w'.repeat(n)) }),
  ],
  ['texts in texts', (n) => ok({ data: many(n / 4, 'aaaaaa'), warnings: ['a'.repeat(n)] })],
  ['members of data', (n) => ok({ data: Object.fromEntries(many(n, 'key').map((key) => [key, key])) })],
  ['lists in data', (n) => raw(`{"data":[${'[],'.repeat(n)}[]],"warnings":["w"]}`)],
  ['levels of data', (n) => raw(`{"data":${'['.repeat(n)}${']'.repeat(n)}}`)],
  ['quotes in a text', (n) => ok({ data: { text: '\\"'.repeat(n) } })],
  ['white space', (n) => raw(`${' '.repeat(n)}{}`)],
  ['errors', (n) => ({ ...ok({ errors: many(n, 'permission denied ') }), statusCode: 403 })],
  ['a long error', (n) => ({ ...ok({ errors: ['failed to '.repeat(n)] }), statusCode: 500 })],
])('four times the input costs about four times the time: %s', async (_what, answer) => {
  const size = whole ? 20_000 : 4_000;
  const [small, large] = [answer(size), answer(4 * size)];
  const meet = (one: Answer) => () => world.meet('read', one);
  await meet(small)();
  // Quadratic work would take sixteen times as long; 50 ms of either are noise.
  expect(await cost(meet(large))).toBeLessThan(9 * (await cost(meet(small))) + 50_000);
});

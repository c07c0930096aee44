import { expect, it } from 'vitest';
import { systemClock } from '../../../lib/clock/clock.js';

/** Timers that the process waits for. */
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

it.each([
  ['does not keep', undefined, 0],
  ['keeps, where it is asked to,', true, 1],
])('a timer %s the process alive', (_what, keepAlive, more) => {
  const before = timers();
  const cancel = systemClock.setTimer(60_000, () => undefined, keepAlive);
  expect(timers() - before).toBe(more);
  cancel();
});

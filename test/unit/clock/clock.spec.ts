import { expect, it } from 'vitest';
import { systemClock } from '../../../lib/clock/clock.js';

/** Timers that keep the process alive. */
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

it.each([
  ['does not keep', undefined, 0],
  ['keeps, if requested,', true, 1],
])('a timer %s the process alive', (_what, keepAlive, more) => {
  const before = timers();
  const cancel = systemClock.setTimer(60_000, () => undefined, keepAlive);
  expect(timers() - before).toBe(more);
  cancel();
});

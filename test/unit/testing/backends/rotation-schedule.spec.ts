import { expect, it } from 'vitest';
import { RotationSchedule } from '../../../../lib/testing/backends/rotation-schedule.js';

it.each([
  ['* * * * *', '2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z'],
  ['* * * * *', '2026-01-01T00:00:59.999Z', '2026-01-01T00:01:00Z'],
  ['0 * * * *', '2026-01-01T00:00:00Z', '2026-01-01T01:00:00Z'],
  ['*/15 8-9,20 * * *', '2026-01-01T09:46:00Z', '2026-01-01T20:00:00Z'],
  ['10/20 * * * *', '2026-01-01T00:31:00Z', '2026-01-01T00:50:00Z'],
  ['0 3 * * *', '2026-12-31T03:00:00Z', '2027-01-01T03:00:00Z'],
  ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
  ['0 0 * * 0', '2026-01-01T00:00:00Z', '2026-01-04T00:00:00Z'],
  // If both are given, the day of the month or of the week has to match.
  ['0 0 15 * 1', '2026-01-01T00:00:00Z', '2026-01-05T00:00:00Z'],
  ['0 0 15 * 1', '2026-01-12T00:00:00Z', '2026-01-15T00:00:00Z'],
  ['0 0 1-31/30 * *', '2026-01-02T00:00:00Z', '2026-01-31T00:00:00Z'],
])('%s after %s is %s', (schedule, after, next) => {
  expect(new Date(new RotationSchedule(schedule).next(Date.parse(after)))).toEqual(new Date(next));
});

it('a schedule with a day that no month has never applies', () => {
  expect(new RotationSchedule('0 0 31 2 *').next(0)).toBe(Infinity);
});

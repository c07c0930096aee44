import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hostileAnswers, type Answer } from './answers.js';
import { expectFit, expectHidden, World } from './consumers.js';
import { counted, inputs, seed } from './inputs.js';

const PATH = 'database/creds/app';
/** A life takes as long as a hundred answers by themselves. */
const SHARE = 0.005;
/** The second answer, behind the login, is the lease. */
const LEASE_ID = `${PATH}/2`;
const renewed = { lease_id: LEASE_ID, lease_duration: 60, renewable: true };

/** Where a credential that is in use meets an answer, and when the request for it comes. */
const MOMENTS: Record<string, { path: string; good: object }> = {
  'renewal of the lease': { path: 'sys/leases/renew', good: renewed },
  'look-up of a lease': { path: 'sys/leases/lookup', good: { data: { id: LEASE_ID } } },
};

it.each(Object.entries(MOMENTS))(
  'a credential in use lives, whatever one answer holds: %s',
  async (name, { path, good }) => {
    const numRuns = Math.ceil((inputs * SHARE) / Object.keys(MOMENTS).length);
    await fc.assert(
      fc.asyncProperty(hostileAnswers(good), (answer) => liveThrough(path, answer)),
      { seed, numRuns },
    );
    counted(`lives: ${name}`, numRuns);
  },
  600_000,
);

async function liveThrough(path: string, answer: Answer): Promise<void> {
  const world = await new World().start();
  const { clock, connection, server } = world;
  const { lease } = await clock.until(connection.leases.get(PATH));
  expect(server.answered).toBe(2);
  let errored: unknown;
  const subscription = connection.leases.watch(PATH, false).subscribe({
    error: (error: unknown) => {
      errored = error;
    },
  });
  server.hostile = { path, answer };
  if (path.endsWith('lookup')) await clock.until(lease.refused?.(false) ?? Promise.resolve());
  // The renewal at two thirds of the minute, and no more than that.
  for (let second = 0; second < 46 && server.asked.every((one) => !one.path.endsWith(path)); second++)
    await clock.advance(1_000);
  server.hostile = undefined;
  await clock.advance(5_000);
  const now = connection.leases.current(PATH);
  expect(now, `a valid credential after ${JSON.stringify(answer)}`).toBeDefined();
  expect(errored).toBeUndefined();
  expect(JSON.stringify(now?.lease.validUntil)).not.toBe('null');
  // Later ones are renewed as ever.
  await clock.advance(300_000);
  expect(connection.leases.current(PATH)).toBeDefined();
  for (const event of world.events) if ('error' in event && event.error) expectFit(event.error);
  expectHidden(world.events);
  expectHidden(connection.status);
  subscription.unsubscribe();
  await clock.until(connection.close());
}

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hostileAnswers, type Answer } from './answers.js';
import { World } from './consumers.js';
import { expectFit, expectHidden } from './fit.js';
import { counted, inputs, seed } from './inputs.js';

const PATH = 'database/creds/app';
/** One lifecycle takes as long as a hundred single answers. */
const SHARE = 0.005;
/** The second answer, after the login, is the lease. */
const LEASE_ID = `${PATH}/2`;
const renewed = { lease_id: LEASE_ID, lease_duration: 60, renewable: true };

/** Requests that a credential in use causes, and their times. */
const MOMENTS: Record<string, { path: string; good: object; seconds: number; step: number }> = {
  // At two thirds of a minute at the latest.
  'renewal of the lease': { path: 'sys/leases/renew', good: renewed, seconds: 46, step: 1 },
  'look-up of a lease': {
    path: 'sys/leases/lookup',
    good: { data: { id: LEASE_ID } },
    seconds: 46,
    step: 1,
  },
  // At two thirds of an hour.
  'renewal of the token': {
    path: 'auth/token/renew-self',
    good: { auth: { client_token: 'x', accessor: 'a', lease_duration: 3_600, renewable: true } },
    seconds: 2_700,
    step: 30,
  },
};
type Moment = (typeof MOMENTS)[string];

it.each(Object.entries(MOMENTS))(
  'a credential in use survives any single answer: %s',
  async (name, moment) => {
    const numRuns = Math.ceil((inputs * SHARE) / Object.keys(MOMENTS).length);
    await fc.assert(
      fc.asyncProperty(hostileAnswers(moment.good), (answer) => liveThrough(moment, answer)),
      { seed, numRuns },
    );
    counted(`lives: ${name}`, numRuns);
  },
  600_000,
);

async function liveThrough({ path, seconds, step }: Moment, answer: Answer): Promise<void> {
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
  if (path.endsWith('lookup'))
    await clock.until(lease.reportRejected?.({ confirmed: false }) ?? Promise.resolve());
  const isAsked = () => server.asked.some((one) => one.path.endsWith(path));
  for (let passed = 0; passed < seconds && !isAsked(); passed += step) await clock.advance(step * 1_000);
  expect(isAsked()).toBe(true);
  server.hostile = undefined;
  await clock.advance(5_000);
  const now = connection.leases.current(PATH);
  expect(now, `a valid credential after ${JSON.stringify(answer)}`).toBeDefined();
  expect(errored).toBeUndefined();
  expect(JSON.stringify(now?.lease.validUntil)).not.toBe('null');
  // Later leases are renewed as usual.
  await clock.advance(300_000);
  expect(connection.leases.current(PATH)).toBeDefined();
  for (const event of world.events) if ('error' in event && event.error) expectFit(event.error);
  expectHidden(world.events);
  expectHidden(connection.status);
  subscription.unsubscribe();
  await world.close();
}

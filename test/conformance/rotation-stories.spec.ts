import { expect } from 'vitest';
import { SECOND, LONG } from './rules/rule.js';
import { story, type SimulatedWorld } from './case.js';
import type { Life } from './world.js';

const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const PATH = 'database/static-creds/fixed';
const READ = /static-creds/;

/** A static role that the server rotates by a schedule; the server checks it so many milliseconds after each 5 s. */
async function scheduled(world: SimulatedWorld, rotationSchedule: string, phase: number): Promise<Life> {
  await world.advance(phase);
  const life = await world.start({ role: LONG, watch: false });
  await world.settled(world.vault.staticRole('fixed', { username: 'fixed', rotationSchedule }));
  return life;
}

/** The seconds, of so many, in which the database refuses the published password. */
async function refusedFor(world: SimulatedWorld, life: Life, seconds: number): Promise<number> {
  let refused = 0;
  for (let second = 0; second < seconds; second++) {
    await world.advance(SECOND);
    const current = life.connection.leases.current<{ username: string; password: string }>(PATH);
    if (!current || !(await world.isValid(current))) refused++;
  }
  return refused;
}

for (const phase of [0, 500, 2_500, 4_900]) {
  story(
    `a schedule of every minute, which the server runs ${phase} ms late: the old password is used for seconds at most`,
    async (world) => {
      const life = await scheduled(world, '* * * * *', phase);
      await world.settled(life.connection.leases.get(PATH));
      expect(await refusedFor(world, life, 250)).toBeLessThanOrEqual(4 * 2);
      expect(life.of('rotated')).toHaveLength(4);
      expect(world.requests(READ).length).toBeLessThan(8 * 5);
      expect(life.of('rotation-failed')).toEqual([]);
      expect(life.connection.status.health).toBe('up');
    },
    'vault',
  );
}

story(
  'first read between a scheduled time and the rotation: the old password is replaced within half a minute',
  async (world) => {
    const life = await scheduled(world, '0 * * * *', 4_900);
    await world.advance(HOUR - (world.clock.wall() % HOUR) + 2 * SECOND);
    await world.settled(life.connection.leases.get(PATH));
    expect(await refusedFor(world, life, 120)).toBeLessThanOrEqual(20);
    expect(await refusedFor(world, life, 120)).toBe(0);
    // One more read for safety, then none before the next scheduled time.
    expect(world.requests(READ).length).toBeLessThanOrEqual(3);
  },
  'vault',
);

story(
  'the window of a schedule has passed: overdue until the next time',
  async (world) => {
    await world.advance(2_500);
    const life = await world.start({ role: LONG, watch: false });
    const role = { username: 'fixed', rotationSchedule: '0 0 * * *', rotationWindow: '1h' };
    await world.settled(world.vault.staticRole('fixed', role));
    await world.settled(life.connection.leases.get(PATH));
    world.vault.databaseDown();
    await world.advance(26 * HOUR);
    expect(life.of('rotation-failed')).toMatchObject([{ reason: 'server' }]);
    world.vault.databaseDown(false);
    world.clear();
    await world.advance(HOUR);
    expect(life.connection.status.leases).toMatchObject([{ state: 'degraded' }]);
    expect(world.requests(READ).length).toBeLessThan(200);
    await world.advance(22 * HOUR);
    expect(life.of('rotated')).toHaveLength(1);
    expect(life.connection.status.health).toBe('up');
  },
  'vault',
);

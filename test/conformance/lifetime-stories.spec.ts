import { expect } from 'vitest';
import { SEALED, story } from './case.js';
import { LONG, SECOND } from './rules/rule.js';

const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const LASTING = { ttl: 100 * 3_600, maxTtl: 200 * 3_600 };

story('a lease in doubt is replaced: a listener of the event finds the next one in place', async (world) => {
  const life = await world.start({ role: { ttl: 600, maxTtl: 6_000 }, login: LASTING });
  await world.advance(5 * MINUTE);
  // The clock is set ahead while the next one is issued.
  world.vault.delay(3 * SECOND, { match: /creds/ });
  void life.published[0]!.lease.reportRejected?.({ confirmed: true });
  const inPlace: number[] = [];
  life.bus.events$.subscribe(({ type }) => {
    if (type === 'rotated') inPlace.push(life.published.length);
  });
  await world.advance(SECOND);
  world.clock.stepWall(6 * MINUTE);
  const asked = life.connection.leases.get<{ username: string; password: string }>(world.path);
  expect(await world.isValid(await world.settled(asked))).toBe(true);
  expect(life.of('expired')).toHaveLength(1);
  expect(inPlace).toEqual([2]);
});

story(
  'the wall clock is set ahead and back in an outage: who came meanwhile gets the lease, which is alive',
  async (world) => {
    const life = await world.start({ role: LONG, login: LASTING });
    world.network.answer(/./, 503, SEALED);
    world.clock.stepWall(3 * HOUR);
    await world.advance(2 * MINUTE);
    expect(life.of('expired')).toHaveLength(1);
    const seen: unknown[] = [];
    life.connection.leases.watch(world.path, true).subscribe(({ data }) => seen.push(data));
    await world.advance(MINUTE);
    expect(seen).toEqual([]);
    world.clock.stepWall(-3 * HOUR);
    await world.advance(2 * MINUTE);
    expect(seen).toEqual([life.published[0]!.data]);
    world.network.restore();
    await world.advance(10 * MINUTE);
    expect(life.of('issued')).toHaveLength(1);
    expect(life.published).toHaveLength(1);
  },
);

story('the first read of a watched secret is told to those who follow the status', async (world) => {
  const life = await world.start({ role: LONG, login: LASTING });
  await world.advance(MINUTE);
  const states: (string | undefined)[] = [];
  const { connection } = life;
  connection.changes$.subscribe(() => states.push(connection.status.secrets[0]?.state));
  world.vault.kv().put('app', { key: 'value' });
  connection.watches.watch('app', { kvVersion: 2 }).subscribe();
  await world.advance(SECOND);
  expect(connection.status.secrets).toMatchObject([{ state: 'valid' }]);
  expect(states.at(-1)).toBe('valid');
});

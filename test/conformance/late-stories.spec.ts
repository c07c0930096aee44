import { expect } from 'vitest';
import { DENIED, story } from './case.js';
import { ISSUE, LOGIN, LONG, LOOKUP_SELF, RENEW, SECOND } from './rules/rule.js';

const LASTING = { ttl: 100 * 3_600, maxTtl: 200 * 3_600 };
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

story('a node does not know a token yet that is a second old: no other login', async (world) => {
  const life = await world.start({ role: LONG, watch: false });
  world.vault.kv().put('app', { key: 'value' });
  world.vault.answer(403, DENIED, { times: 1, match: /secret\/data/ });
  world.vault.answer(403, DENIED, { times: 1, match: /lookup-self/ });
  const { data } = await world.settled(life.connection.client.read<{ data: object }>('secret/data/app'));
  expect(data.reveal().data).toEqual({ key: 'value' });
  expect(world.requests(LOOKUP_SELF)).toHaveLength(2);
  expect(world.requests(LOGIN)).toHaveLength(1);
});

story('after a suspension, a request for a credential checks it before its timer fires', async (world) => {
  const life = await world.start({ role: LONG, login: LASTING });
  world.clear();
  world.clock.stepWall(3 * HOUR);
  expect(life.connection.leases.current(world.path)).toBeUndefined();
  await world.advance(SECOND);
  expect(world.requests(RENEW)).toHaveLength(1);
  expect(life.connection.leases.current(world.path)).toBeDefined();
});

story('a caller that comes while a lease seems expired gets it once it is found valid', async (world) => {
  const life = await world.start({ role: LONG, login: LASTING });
  world.network.delay(RENEW, 300);
  world.clock.stepWall(3 * HOUR);
  await world.until(() => life.of('expired').length === 1, MINUTE);
  const seen: number[] = [];
  life.connection.leases.watch(world.path, true).subscribe(({ lease }) => seen.push(lease.serial));
  expect(seen).toEqual([]);
  await world.until(() => life.connection.leases.current(world.path) !== undefined, MINUTE);
  expect(seen).toEqual([1]);
  expect(world.requests(ISSUE)).toHaveLength(1);
});

story(
  'leases are rejected one after the other, and one hours later: the last is replaced at once',
  async (world) => {
    const life = await world.start({ role: LONG, login: LASTING });
    const refuse = () => void life.published.at(-1)!.lease.reportRejected?.({ confirmed: true });
    for (let times = 0; times < 6; times++) {
      refuse();
      const { length } = life.published;
      await world.until(() => life.published.length > length, 2 * MINUTE);
    }
    world.clear();
    refuse();
    await world.advance(10 * SECOND);
    expect(world.requests(ISSUE)).toHaveLength(0);
    await world.advance(HOUR);
    world.clear();
    refuse();
    await world.advance(SECOND);
    expect(world.requests(ISSUE)).toHaveLength(1);
  },
);

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeReal } from '../support/real-servers.js';
import { usersInDatabase } from '../support/servers.mjs';
import { expectBack, expectSurvived, LONG, SHORT, World } from './world.js';

describeReal('chaos: an operator', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start();
  });
  afterAll(() => world?.stop());

  const root = async (method: string, path: string, body?: unknown) => {
    const answer = await world.bao.api(method, path, body);
    expect(answer.status, `${method} ${path}`).toBeLessThan(300);
    return answer.body;
  };
  /** Users of a role, by the name that the engine gives them. */
  const users = async (role: string) =>
    (await usersInDatabase(world.postgres)).filter((name) => name.includes(`-${role.slice(0, 8)}-`));

  it('revokes the lease', async (context) => {
    const subject = await world.subject('lease', LONG);
    await subject.untilLeft(17_000);
    await subject.fault();
    const since = Date.now();
    await root('PUT', 'sys/leases/revoke-prefix/database/creds/lease');
    const row = await subject.outcome(context, 'the lease is revoked', since);
    expectBack(row, 'lease-lost');
    expect(subject.events('rotated')).toMatchObject([{ reason: 'lease-lost' }]);
    expect(subject.events('issued')).toHaveLength(1);
    expect(subject.events('login')).toEqual([]);
  }, 120_000);

  it('revokes the token', async (context) => {
    const subject = await world.subject('token', LONG);
    await subject.untilLeft(17_000);
    await subject.fault();
    const since = Date.now();
    for (const accessor of (await root('LIST', 'auth/token/accessors')).data.keys as string[]) {
      const { data } = await root('POST', 'auth/token/lookup-accessor', { accessor });
      if (data.meta?.role_name === 'token') await root('POST', 'auth/token/revoke-accessor', { accessor });
    }
    const row = await subject.outcome(context, 'the token is revoked', since);
    expectBack(row, 'token-lost');
    expect(subject.events('login')).toMatchObject([{ reason: 'token-lost' }]);
    expect(subject.events('issued')).toHaveLength(1);
  }, 120_000);

  it('drops the user in the database', async (context) => {
    const subject = await world.subject('user', LONG);
    await subject.untilLeft(17_000);
    await subject.fault();
    const since = Date.now();
    for (const user of await users('user')) await world.postgres.query(`drop role "${user}"`);
    const row = await subject.outcome(context, 'the user is dropped', since);
    expectBack(row, 'rejected');
    expect(subject.poolEvents('refused')).not.toEqual([]);
    expect(subject.events('rotated')).toMatchObject([{ reason: 'rejected' }]);
    expect(subject.events('issued')).toHaveLength(1);
    expect(subject.events('login')).toEqual([]);
  }, 120_000);

  it('changes the TTL of the role', async (context) => {
    const [long, short] = await Promise.all([
      world.subject('ttl-long', LONG),
      world.subject('ttl-short', SHORT),
    ]);
    await long.untilLeft(10_000);
    await Promise.all([long.fault(), short.fault()]);
    // Half of the TTL: the next renewal is granted less, though no max TTL is near.
    await world.setRole('ttl-long', { ttl: 6 });
    // Less than the running transactions take.
    await world.setRole('ttl-short', { ttl: 1, maxTtl: 1 });
    await long.untilEvents('renewed', 2);
    await sleep(2_000);
    await world.setRole('ttl-short', SHORT);
    const since = Date.now();
    const [survived, recovered] = await Promise.all([
      long.outcome(context, 'the TTL of the role is halved', since),
      short.outcome(context, 'the TTL of the role is 1 s for a while', since),
    ]);
    expectSurvived(survived);
    expectBack(recovered, 'drain');
  }, 120_000);
});

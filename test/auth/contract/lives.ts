import { expect } from 'vitest';
import type { Life } from '../../conformance/world.js';
import type { Title } from './titles.js';
import { SECOND, type Rule, type Trial } from './trial.js';

const RENEW_SELF = /^auth\/token\/renew-self$/;
const REVOKE_SELF = /^auth\/token\/revoke-self$/;

/** The second lease took over before the end of the first token, with which the first lease ends. */
async function withoutGap(trial: Trial, life: Life): Promise<void> {
  const [first, second] = life.published;
  expect([first!.lease.tokenSequence, second!.lease.tokenSequence]).toEqual([1, 2]);
  const { validUntil } = life.events
    .filter((event) => event.type === 'login' || event.type === 'token-renewed')
    .findLast(({ sequence }) => sequence === 1)!;
  expect(life.of('rotated')[0]!.at.getTime()).toBeLessThan(validUntil.getTime());
  expect(await trial.world.isValid(second!)).toBe(true);
  expect(life.of('expired')).toEqual([]);
}

/** A login takes over ahead of the end of a token, and the lease follows it. */
async function takesOver(trial: Trial, reason: string | RegExp): Promise<void> {
  const life = await trial.begin();
  await trial.until(() => life.published.length > 1, 20 * SECOND);
  expect(life.of('login')[1]!.reason).toMatch(reason);
  await withoutGap(trial, life);
  expect(trial.logins).toBe(life.of('login').length * (trial.prepared.requests ?? 1));
}

/** The rules on the life of a token that a method has made. */
export const lives = {
  async start(trial) {
    const { requests = 1 } = await trial.setUp();
    const input = await trial.source();
    trial.clear();
    const life = await trial.deferred({ source: input });
    await Promise.all(Array.from({ length: 20 }, () => trial.ask(life)));
    expect(trial.world.requests()).toHaveLength(20 + requests);
    expect(life.of('login')).toMatchObject([{ sequence: 1, reason: 'start' }]);
  },

  async renewed(trial) {
    const { requests = 1 } = await trial.setUp({ ttl: 4, maxTtl: 600 });
    const life = await trial.begin();
    await trial.until(() => life.of('token-renewed').length > 1, 12 * SECOND);
    expect(trial.logins).toBe(requests);
    expect(await trial.world.isValid(life.published[0]!)).toBe(true);
    expect(life.published).toHaveLength(1);
  },

  async replaced(trial) {
    await trial.setUp({ ttl: 9, maxTtl: 14 });
    await takesOver(trial, 'max-ttl');
  },

  async lost(trial) {
    const { requests = 1 } = await trial.setUp();
    const life = await trial.begin();
    await trial.revokeTokens();
    trial.clear();
    await Promise.all(Array.from({ length: 20 }, () => trial.ask(life)));
    expect(trial.logins).toBe(requests);
    expect(life.of('login')[1]).toMatchObject({ sequence: 2, reason: 'token-lost' });
    await trial.until(() => life.published.length > 1, 20 * SECOND);
    expect(await trial.world.isValid(life.published[1]!)).toBe(true);
  },

  async read(trial) {
    await trial.setUp({ ttl: 4, maxTtl: 5 });
    const life = await trial.begin();
    await trial.until(() => life.of('login').length > 2, 20 * SECOND);
    expect(trial.read).toHaveLength(life.of('login').length);
    expect(life.of('login-failed')).toEqual([]);
  },

  async refusal(trial) {
    const prepared = await trial.setUp({ ttl: 9, maxTtl: 600 });
    const life = await trial.begin();
    await prepared.refuseRenewals?.();
    const renewals = () => life.of('token-renewed').length;
    const before = renewals();
    await trial.until(() => life.published.length > 1 || renewals() > before, 20 * SECOND);
    if (renewals() > before)
      return 'the server renews such a token without asking again, as OpenBao 2.6 does';
    expect(life.of('login')).toHaveLength(2);
    await withoutGap(trial, life);
    return undefined;
  },

  async batch(trial) {
    await trial.setUp({ ttl: 9, maxTtl: 600, type: 'batch' });
    await takesOver(trial, 'not-renewable');
    expect(trial.world.requests(RENEW_SELF)).toEqual([]);
  },

  async periodic(trial) {
    const { requests = 1 } = await trial.setUp({ period: 3 });
    const life = await trial.begin();
    await trial.until(() => life.of('token-renewed').length > 3, 20 * SECOND);
    expect(trial.logins).toBe(requests);
    expect(life.of('token-renewed').every(({ capped }) => !capped)).toBe(true);
    expect(life.published).toHaveLength(1);
  },

  async replicas(trial) {
    // Whole seconds of the server would hide the spread of shorter ones.
    const { requests = 1 } = await trial.setUp(
      trial.simulated ? { ttl: 60, maxTtl: 90 } : { ttl: 8, maxTtl: 9 },
    );
    const lives = [];
    for (let replica = 0; replica < 5; replica++) lives.push(await trial.begin({ watch: false }));
    trial.clear();
    await trial.until(() => trial.logins >= 5 * requests, 100 * SECOND);
    const times = trial.world.requests(trial.prepared.login).map(({ at }) => at);
    expect(new Set(times).size).toBeGreaterThan(1);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(100);
  },

  async printed(trial) {
    await trial.setUp({ ttl: 4, maxTtl: 5 });
    const auth = trial.prepared.method(trial.source);
    const life = await trial.begin({ auth });
    await trial.until(() => life.of('login').length > 1, 20 * SECOND);
    trial.search(auth, life.connection, life.connection.status, life.published);
  },

  async closed(trial) {
    await trial.setUp();
    const life = await trial.begin();
    trial.clear();
    await trial.world.settled(life.connection.close());
    expect(trial.world.requests().map(({ path }) => path)).toEqual(['auth/token/revoke-self']);
    expect(trial.world.requests(REVOKE_SELF)[0]?.answered).toBe(true);
    await trial.world.advance(SECOND);
    expect(await trial.world.isValid(life.published[0]!)).toBe(false);
  },
} satisfies Partial<Record<Title, Rule>>;

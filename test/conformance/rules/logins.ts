import { expect } from 'vitest';
import { appRole } from '../../../lib/index.js';
import type { Life } from '../world.js';
import { everywhere, ISSUE, LOGIN, LONG, LOOKUP_SELF, SECOND, simulated, type Rules } from './rule.js';

const HOURLY = { ttl: 3_600, maxTtl: 36_000 };

/** Rules on logins: their causes, and the delays between them. */
export const logins: Rules = [
  everywhere('H1', 'a refused secret_id: no loop, neither at once nor later', async (world) => {
    await world.start({ role: LONG, watch: false });
    const role = `auth/approle/role/${world.name}`;
    const { operator } = world;
    const { role_id: roleId } = (await operator.api('GET', `${role}/role-id`)).data;
    const { secret_id: secretId } = (await operator.api('POST', `${role}/secret-id`, {})).data;
    await operator.api('POST', `${role}/secret-id/destroy`, { secret_id: secretId });
    world.clear();
    const options = { auth: appRole({ roleId, secretId }) };
    await expect(world.start({ role: LONG, options })).rejects.toMatchObject({
      code: 'VAULT_LOGIN_INPUT_INVALID',
    });
    await world.advance(2 * SECOND);
    expect(world.requests(LOGIN)).toHaveLength(1);
  }),
  simulated(
    'H1',
    'a secret_id that is refused during operation: tried once a minute, and a new one is used at once',
    async (world) => {
      const { roleId, secretId } = world.vault!.appRole('other', { tokenTtl: 60, tokenMaxTtl: 90 });
      let current = secretId();
      const life = await world.start({
        role: LONG,
        options: { auth: appRole({ roleId, secretId: () => current }) },
      });
      world.vault!.answer(
        400,
        { errors: ['invalid role or secret ID'] },
        { match: ({ path }: { path: string }) => /login/.test(path) && current !== 'fresh' },
      );
      await world.until(() => life.of('login-failed').length > 0, 100 * SECOND);
      expect(life.connection.status).toMatchObject({ health: 'degraded', session: { state: 'degraded' } });
      const before = world.requests(LOGIN).length;
      await world.advance(50 * SECOND);
      expect(world.requests(LOGIN).length - before).toBeLessThanOrEqual(1);
      // After the token has expired, the connection is not ready, and reports the reason.
      await world.until(() => life.connection.status.health === 'down', 15 * SECOND);
      expect(life.connection.status.session).toMatchObject({
        state: 'expired',
        error: { code: 'VAULT_LOGIN_INPUT_INVALID' },
      });
      world.vault!.clearFaults();
      current = secretId();
      await world.until(() => life.of('login').length > 1, 35 * SECOND);
      await world.until(() => life.published.length > 1, 35 * SECOND);
      expect(await world.isValid(life.published.at(-1)!)).toBe(true);
    },
  ),
  simulated('H2', 'sources are read again at each login', async (world) => {
    const { roleId, secretId } = world.vault!.appRole('other', {
      tokenTtl: 60,
      tokenMaxTtl: 90,
      secretIdNumUses: 1,
    });
    const auth = appRole({ roleId, secretId: () => secretId() });
    const life = await world.start({ role: LONG, options: { auth } });
    await world.until(() => life.of('login').length > 3, 600 * SECOND);
    expect(life.of('login-failed')).toEqual([]);
  }),
  simulated('H6', 'failed logins are spaced out within one process', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 60, maxTtl: 90 } });
    world.vault!.answer(500, { errors: ['internal error'] }, { match: /login/ });
    world.clear();
    await world.advance(3_600 * SECOND);
    expect(world.requests(LOGIN).length).toBeLessThan(250);
    world.vault!.clearFaults();
    await world.until(() => life.of('login').length > 1, 40 * SECOND);
  }),
  simulated('H6', 'failed logins of a start are spaced out, for any time limit', async (world) => {
    world.network.answer(LOGIN, 500, '{"errors":["internal error"]}');
    const options = { startup: { timeout: 300 * SECOND } };
    await expect(world.start({ role: LONG, options })).rejects.toMatchObject({ status: 500 });
    const times = world.requests(LOGIN).map(({ at }) => at);
    expect(times.length).toBeGreaterThan(8);
    expect(times.length).toBeLessThan(30);
    const waits = times.slice(1).map((at, index) => at - times[index]!);
    expect(Math.min(...waits.slice(6))).toBeGreaterThan(10 * SECOND);
  }),
  simulated('H6', 'failed logins of successive starts and requests are spaced out', async (world) => {
    world.network.answer(LOGIN, 500, '{"errors":["internal error"]}');
    const options = { startup: { login: 'deferred' as const, timeout: SECOND } };
    const life = await world.start({ role: LONG, watch: false, options });
    expect(world.requests()).toEqual([]);
    for (let second = 0; second < 600; second++) {
      const asked: Promise<unknown> =
        second % 2 ? life.connection.login() : life.connection.client.read('auth/token/lookup-self');
      await expect(world.settled(asked)).rejects.toMatchObject({ status: 500 });
      await world.advance(SECOND);
    }
    expect(world.requests(LOGIN).length).toBeGreaterThan(10);
    expect(world.requests(LOGIN).length).toBeLessThan(100);
    world.network.restore();
    await world.advance(31 * SECOND);
    await world.settled(life.connection.login());
    expect(life.of('login')).toMatchObject([{ reason: 'start', sequence: 1 }]);
  }),
  simulated('I2', 'refused right after the login: repeated before the token is replaced', async (world) => {
    const denied = { errors: ['permission denied'] };
    world.vault!.answer(403, denied, { times: 1, match: /creds/ });
    world.vault!.answer(403, denied, { times: 1, match: /lookup-self/ });
    const life = await world.start({ role: LONG });
    expect(life.published).toHaveLength(1);
    expect(world.requests(LOGIN)).toHaveLength(1);
    expect(world.requests(LOOKUP_SELF)).toHaveLength(2);
  }),
  simulated('I3', 'a cluster that lost its tokens: one login, everything issued anew', async (world) => {
    const life = await world.start({ role: { ttl: 60, maxTtl: 600 }, login: HOURLY });
    await world.advance(10 * SECOND);
    world.clear();
    world.vault!.revokeAllTokens();
    await world.until(() => life.published.length > 1, 60 * SECOND);
    expect(world.requests(LOGIN)).toHaveLength(1);
    expect(world.requests(ISSUE)).toHaveLength(1);
  }),
  simulated(
    'I3',
    'after a cluster lost its tokens, its clients do not log in at the same moment',
    async (world) => {
      const lives: Life[] = [];
      for (let process = 0; process < 10; process++)
        lives.push(await world.start({ role: { ttl: 60, maxTtl: 600 }, login: HOURLY }));
      world.clear();
      world.vault!.revokeAllTokens();
      await world.until(() => lives.every(({ published }) => published.length > 1), 60 * SECOND);
      const times = world.requests(LOGIN).map(({ at }) => at);
      expect(times).toHaveLength(10);
      expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(SECOND);
    },
  ),
];

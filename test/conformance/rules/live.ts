import { expect } from 'vitest';
import { appRole, fromWrappedToken, token, VaultError } from '../../../lib/index.js';
import type { Life, World } from '../world.js';
import {
  everywhere,
  ISSUE,
  LOGIN,
  LONG,
  LOOKUP_SELF,
  RENEW_SELF,
  REVOKE_SELF,
  SECOND,
  simulated,
  type Rules,
} from './rule.js';
import { policyOf } from './operator.js';

const LOOKUP = /^sys\/leases\/lookup$/;
const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: VaultError) => error.code,
  );

/** Waits until the server has ended a lease, which takes it some time. */
async function isGone(world: World, life: Life, index: number): Promise<boolean> {
  for (let waited = 0; waited < 8 && (await world.isValid(life.published[index]!)); waited++)
    await world.advance(SECOND);
  return !(await world.isValid(life.published[index]!));
}

/** Rules that depend on the behaviour of a server, not only on its answers. */
export const live: Rules = [
  everywhere(
    'C6',
    'a denied path does not mean an invalid token; an invalid token is looked up once',
    async (world) => {
      const life = await world.start({ role: LONG, login: { ttl: 600, maxTtl: 600 } });
      world.clear();
      expect(await failureOf(world.settled(life.connection.client.read('sys/mounts')))).toBe(
        'VAULT_PERMISSION_DENIED',
      );
      expect(world.requests(LOGIN)).toEqual([]);
      expect(world.requests(LOOKUP_SELF).length).toBeLessThanOrEqual(1);

      await world.operator.revokeTokens();
      world.clear();
      await world.settled(life.connection.client.read('database/creds/' + world.name));
      expect(world.requests(LOGIN)).toHaveLength(1);
    },
  ),
  everywhere(
    'C13',
    'a deleted version, a missing version and a missing secret have different errors',
    async (world) => {
      const life = await world.start({ role: LONG, watch: false });
      const at = `secret/data/${world.name}`;
      const read = (version?: number) =>
        failureOf(
          world.settled(
            life.connection.secrets.read(world.name, version === undefined ? {} : { version }, SECOND),
          ),
        );
      expect(await read()).toBe('VAULT_SECRET_NOT_FOUND');
      await world.operator.api('POST', at, { data: { key: 'one' } });
      expect(await read()).toBeUndefined();
      expect(await read(2)).toBe('VAULT_SECRET_NOT_FOUND');
      await world.operator.api('DELETE', at);
      expect(await read()).toBe('VAULT_SECRET_DELETED');
      await world.operator.api('PUT', `secret/destroy/${world.name}`, { versions: [1] });
      expect(await read(1)).toBe('VAULT_SECRET_DESTROYED');
    },
  ),
  everywhere(
    'C20',
    'the last use of a token was lost: a new login, and the request is repeated',
    async (world) => {
      const make = async () => {
        const settings = { policies: [policyOf(world)], num_uses: 6, ttl: '600s' };
        return (await world.operator.api('POST', 'auth/token/create', settings)).auth.client_token as string;
      };
      // `start` creates the policy.
      await world.start({ role: LONG, watch: false });
      let given = await make();
      const life = await world.start({ role: LONG, watch: false, options: { auth: token(() => given) } });
      const first = given;
      // The look-up at the start took one use; another client takes all but the last.
      for (let use = 0; use < 4; use++)
        await world.operator.api('GET', 'auth/token/lookup-self', undefined, { token: first });
      given = await make();
      world.clear();
      const { lease } = await world.settled(life.connection.leases.get(world.path));
      expect(lease.tokenSequence).toBe(2);
      expect(world.requests(ISSUE)).toHaveLength(2);
    },
  ),
  everywhere('D6', 'a lease that its token cuts short is reported', async (world) => {
    const life = await world.start({ role: LONG, login: { ttl: 4, maxTtl: 6 } });
    await world.until(() => life.of('rotated').length > 0, 8 * SECOND);
    expect(life.of('warning')).toMatchObject([
      { code: 'lease-cut-short', message: expect.stringMatching(/ends with its token.*token_max_ttl/) },
    ]);
  }),
  everywhere('D11', 'a token is not revoked while its leases are in use', async (world) => {
    const life = await world.start({
      role: LONG,
      login: { ttl: 9, maxTtl: 12 },
      options: { renewal: { grace: 2 * SECOND } },
    });
    await world.until(() => life.of('rotated').length > 0, 15 * SECOND);
    await world.advance(SECOND);
    expect(world.requests(REVOKE_SELF)).toEqual([]);
    expect(await world.isValid(life.published[0]!)).toBe(true);
    await world.until(() => world.requests(REVOKE_SELF).length === 1, 4 * SECOND);
    expect(await isGone(world, life, 0)).toBe(true);
    expect(await world.isValid(life.published[1]!)).toBe(true);
  }),
  everywhere('E3', 'an unused token is revoked in one request, and its leases with it', async (world) => {
    const life = await world.start({
      role: LONG,
      login: { ttl: 9, maxTtl: 12 },
      options: { renewal: { grace: 0 } },
    });
    world.clear();
    await world.until(() => life.of('token-ended').length > 0, 15 * SECOND);
    expect(life.of('token-ended')).toMatchObject([{ sequence: 1, how: 'revoke-requested' }]);
    expect(world.requests(REVOKE_SELF)).toHaveLength(1);
    expect(await isGone(world, life, 0)).toBe(true);
    expect(await world.isValid(life.published[1]!)).toBe(true);
  }),
  everywhere(
    'E9',
    'rejected by the database: looked up once for any number of reports, then issued anew',
    async (world) => {
      const life = await world.start({ role: LONG, login: { ttl: 600, maxTtl: 600 } });
      const { lease } = life.published[0]!;
      world.clear();
      await world.settled(lease.reportRejected!({ confirmed: false }));
      expect(world.requests(LOOKUP)).toHaveLength(1);
      expect(world.requests(ISSUE)).toEqual([]);

      await world.operator.revokeLeases();
      expect(await isGone(world, life, 0)).toBe(true);
      world.clear();
      await world.settled(
        Promise.all(Array.from({ length: 20 }, () => lease.reportRejected!({ confirmed: false }))),
      );
      await world.until(() => life.of('rotated').length > 0, 10 * SECOND);
      expect(world.requests(LOOKUP)).toHaveLength(1);
      // A busy database may refuse to make two users at the same moment; the client retries.
      const issues = world.requests(ISSUE).length;
      expect(issues).toBeGreaterThanOrEqual(1);
      expect(issues).toBeLessThanOrEqual(1 + life.of('rotation-failed').length);
      expect(await world.isValid(life.published[1]!)).toBe(true);
    },
  ),
  simulated(
    'F1',
    'the same for keys of AWS, whose answers give the expiry in another form',
    async (world) => {
      const life = await world.start({ role: LONG, watch: false });
      const keys = (access_key: string, seconds: number) => ({
        data: {
          access_key,
          secret_key: `of-${access_key}`,
          expiration: new Date(world.clock!.wall() + seconds * SECOND).toISOString(),
        },
      });
      const seen: unknown[] = [];
      let heal = world.vault!.answer(200, keys('AKIA1', 60), { match: /static-creds/ });
      life.connection.leases
        .watch<{ access_key: string }>('aws/static-creds/app', false)
        .subscribe(({ data }) => seen.push(data.reveal().access_key));
      await world.advance(59 * SECOND);
      expect(world.requests(/static-creds/)).toHaveLength(1);
      // The rotation is due, and the server has not done it yet.
      await world.advance(5 * SECOND);
      const asked = world.requests(/static-creds/).length;
      expect(asked).toBeGreaterThan(2);
      expect(asked).toBeLessThan(7);
      heal();
      heal = world.vault!.answer(200, keys('AKIA2', 60), { match: /static-creds/ });
      await world.advance(3 * SECOND);
      expect(seen).toEqual(['AKIA1', 'AKIA2']);
      heal();
    },
  ),
  everywhere('F1', 'a static role is read again when the server has rotated it', async (world) => {
    const life = await world.start({ role: LONG, watch: false });
    const path = await world.operator.staticRole(5);
    const seen: Life['published'] = [];
    life.connection.leases
      .watch<{ username: string; password: string }>(path, false)
      .subscribe((value) => seen.push(value));
    // The server checks every five seconds which passwords are due.
    await world.until(() => seen.length > 2, 30 * SECOND);
    expect(await world.isValid(seen.at(-1)!)).toBe(true);
    expect(await world.isValid(seen[0]!)).toBe(false);
    expect(world.requests(/static-creds/).length).toBeLessThan(30);
    expect(life.of('expired')).toEqual([]);
  }),
  everywhere('G2', 'a pending issue is aborted at shutdown, and leaves no lease', async (world) => {
    const life = await world.start({ role: LONG, watch: false });
    world.network.delay(ISSUE, SECOND);
    const reading = failureOf(life.connection.leases.get(world.path));
    await world.until(() => world.requests(ISSUE).length > 0, SECOND);
    await world.advance(0.3 * SECOND);
    await world.settled(life.connection.close());
    expect(await world.settled(reading)).toMatch(/^VAULT_/);
    // By then the server would have made a lease.
    await world.advance(2 * SECOND);
    expect(world.requests(ISSUE)).toMatchObject([{ answered: false }]);
    // Without leases, the list is not found.
    const leases = world.operator.api('LIST', `sys/leases/lookup/${world.path}`);
    await expect(leases).rejects.toThrow('404');
  }),
  everywhere(
    'H4',
    'a wrapped secret_id is checked, unwrapped once, and used for later logins',
    async (world) => {
      await world.start({ role: LONG, watch: false, login: { ttl: 3, maxTtl: 4 } });
      const role = `auth/approle/role/${world.name}`;
      const roleId = (await world.operator.api('GET', `${role}/role-id`)).data.role_id as string;
      const wrap = async () =>
        (await world.operator.api('POST', `${role}/secret-id`, {}, { wrapTtl: '60s' })).wrap_info
          .token as string;
      const wrapped = await wrap();
      world.clear();
      const auth = appRole({ roleId, secretId: fromWrappedToken(wrapped) });
      const settings = { role: LONG, watch: false, login: { ttl: 3, maxTtl: 4 } };
      const life = await world.start({ ...settings, options: { auth } });
      await world.until(() => life.of('login').length > 1, 6 * SECOND);
      expect(world.requests(/^sys\/wrapping/).map(({ path }) => path)).toEqual([
        'sys/wrapping/lookup',
        'sys/wrapping/unwrap',
      ]);

      // Another process unwrapped it first.
      const stolen = await wrap();
      await world.operator.api('POST', 'sys/wrapping/unwrap', {}, { token: stolen });
      world.clear();
      const late = appRole({ roleId, secretId: fromWrappedToken(stolen) });
      await expect(world.start({ ...settings, options: { auth: late } })).rejects.toMatchObject({
        code: 'VAULT_WRAPPING_TOKEN_INVALID',
      });
      expect(world.requests(LOGIN)).toEqual([]);
    },
  ),
  everywhere('H5', 'a token is renewed as long as possible, without an early login', async (world) => {
    await world.start({ role: LONG, watch: false, login: { ttl: 3, maxTtl: 600 } });
    await world.advance(8 * SECOND);
    expect(world.requests(RENEW_SELF).length).toBeGreaterThanOrEqual(3);
    expect(world.requests(LOGIN)).toHaveLength(1);
  }),
];

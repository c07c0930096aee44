import { expect } from 'vitest';
import { SEALED } from '../case.js';
import type { World } from '../world.js';
import { simulated, LONG, SECOND, type Rules } from './rule.js';

const MINUTE = 60 * SECOND;
const STATIC = /static-creds/;
const PAST = '2001-01-01T00:00:00Z';

interface Login {
  username: string;
  password: string;
}

/** An answer that is valid for ten minutes, as its engine gives it at a time in seconds. */
const EXPIRING: Record<string, (name: string, now: number) => Record<string, unknown>> = {
  'identity/oidc/token/app': (token) => ({ client_id: 'c', token, ttl: 600 }),
  'gcp/roleset/app/token': (token, now) => ({ token, token_ttl: 600, expires_at_seconds: now + 600 }),
  'gcp/impersonated-account/app/token': (token, now) => ({ token, expires_at_seconds: now + 600 }),
  'pki/issue/app': (serial_number, now) => ({ certificate: 'c', serial_number, expiration: now + 600 }),
  'ssh/sign/app': (name, now) => ({ serial_number: name, signed_key: certificate(name, now + 600) }),
};

/** Lifetimes of answers without a lease, which each engine knows. */
export const lives: Rules = [
  simulated(
    'F2',
    'keys of a KV secret that look like a TTL have no meaning: it is read once',
    async (world) => {
      const life = await world.start({ role: LONG, watch: false });
      const mark = { certificate: 'a', signed_key: 'a', access_key: 'a', last_vault_rotation: PAST };
      const plain = { ...mark, ttl: 0, expires_at_seconds: 1, token_ttl: 1 };
      const names = ['app', 'static-creds/app', 'static-cred/app', 'issue/app', 'sign/app', 'token/app'];
      for (const version of [1, 2] as const) {
        const kv = world.vault!.kv(`kv${version}`, version);
        for (const [name, expiration] of names.flatMap(
          (one) =>
            [
              [`${one}-1`, PAST],
              [`${one}-2`, 1],
            ] as const,
        )) {
          // With a `ttl` of 0, OpenBao gives a secret of version 1 the form of a static role: no lease, no duration.
          kv.put(name, { ...plain, ttl: version === 1 ? 1 : 0, expiration });
          const path = version === 2 ? `kv2/data/${name}` : `kv1/${name}`;
          await world.settled(life.connection.leases.get(path));
        }
      }
      await world.advance(10 * MINUTE);
      expect(world.requests(/^kv/)).toHaveLength(4 * names.length);
      expect(life.connection.status.health).toBe('up');
    },
  ),
  simulated(
    'F1',
    'a rotation fails at the server: reported once, degraded, and read ever less often',
    async (world) => {
      const life = await world.start({ role: LONG, watch: false });
      const path = await world.operator.staticRole(60);
      await world.settled(life.connection.leases.get(path));
      world.vault!.databaseDown();
      await world.advance(2 * MINUTE);
      const state = () => life.connection.status.leases.map((one) => [one.state, one.error?.code]);
      const overdue = () =>
        life.of('rotation-failed').filter(({ error }) => error.code === 'VAULT_ROTATION_OVERDUE');
      expect(state()).toEqual([['degraded', 'VAULT_ROTATION_OVERDUE']]);
      world.clear();
      await world.advance(30 * MINUTE);
      expect(world.requests(STATIC).length).toBeLessThan(30 * 5);
      expect(life.of('rotation-failed')).toMatchObject([{ path, reason: 'server' }]);
      expect(life.of('expired')).toEqual([]);
      // Another cause between them, and the same one after it.
      world.network.answer(STATIC, 503, SEALED);
      await world.advance(MINUTE);
      world.network.restore();
      await world.advance(5 * MINUTE);
      expect(state()).toEqual([['degraded', 'VAULT_ROTATION_OVERDUE']]);
      expect(overdue()).toHaveLength(1);

      world.vault!.databaseDown(false);
      await reaches(world, () => life.of('rotated').length > 0, 6);
      expect(life.of('rotated')).toMatchObject([{ reason: 'server' }]);
      expect(state()).toEqual([['valid', undefined]]);
      // The next failure is reported again.
      world.vault!.databaseDown();
      await world.advance(3 * MINUTE);
      expect(overdue()).toHaveLength(2);
    },
  ),
  ...[true, false].map((certain) =>
    simulated(
      'E9',
      `rejected without a lease (confirmed: ${certain}): read at once for any number of reports`,
      async (world) => {
        const life = await world.start({ role: LONG, watch: false });
        const path = await world.operator.staticRole(24 * 3_600);
        const first = await world.settled(life.connection.leases.get<Login>(path));
        await world.advance(MINUTE);
        await world.settled(world.operator.api('POST', 'database/rotate-role/fixed', {}));
        world.clear();
        await world.settled(
          Promise.all(Array.from({ length: 50 }, () => first.lease.reportRejected!({ confirmed: certain }))),
        );
        await world.advance(0.2 * SECOND);
        expect(world.requests(STATIC)).toHaveLength(1);
        expect(await world.isValid(life.connection.leases.current<Login>(path)!)).toBe(true);
        expect(life.of('rotated')).toMatchObject([{ reason: 'rejected', serial: 2 }]);

        // Rejected though the server calls it current: read ever less often, and nothing is published.
        const { lease } = life.connection.leases.current(path)!;
        world.clear();
        for (let second = 0; second < 600; second++) {
          void lease.reportRejected!({ confirmed: certain });
          await world.advance(SECOND);
        }
        expect(world.requests(STATIC).length).toBeGreaterThan(5);
        expect(world.requests(STATIC).length).toBeLessThan(25);
        expect(life.of('rotated')).toHaveLength(1);
        await world.advance(5 * MINUTE);
        expect(life.connection.status.health).toBe('up');
      },
    ),
  ),
  ...Object.entries(EXPIRING).map(([path, answer]) =>
    simulated('F3', `${path} has no lease: replaced in time, and expired if that fails`, async (world) => {
      const life = await world.start({ role: LONG, watch: false });
      const seen: unknown[] = [];
      const serve = (name: string) => {
        world.network.restore();
        const data = answer(name, Math.floor(world.clock!.wall() / SECOND));
        world.network.answer(new RegExp(`^${path}$`), 200, JSON.stringify({ data }));
      };
      const state = () => life.connection.status.leases.map((one) => one.state);
      serve('first');
      const parameters = { public_key: 'k', common_name: 'n' };
      life.connection.leases.watch(path, false, parameters).subscribe({ next: (value) => seen.push(value) });
      await world.advance(SECOND);
      expect([seen.length, state()]).toEqual([1, ['valid']]);
      await world.advance(8 * MINUTE);
      serve('second');
      await world.advance(2 * MINUTE);
      expect([seen.length, life.of('rotated').length, life.of('expired')]).toEqual([2, 1, []]);
      expect(world.requests(new RegExp(`^${path}$`))).toHaveLength(2);

      world.network.restore();
      world.network.answer(new RegExp(`^${path}$`), 503, SEALED);
      await reaches(world, () => state()[0] === 'degraded', 9);
      expect(life.connection.leases.current(path, parameters)).toBeDefined();
      await reaches(world, () => state()[0] === 'expired', 2);
      expect([state(), life.connection.status.health]).toEqual([['expired'], 'down']);
      expect(life.connection.leases.current(path, parameters)).toBeUndefined();
      expect(life.of('expired')).toMatchObject([{ path }]);
      serve('third');
      await world.advance(MINUTE);
      expect([seen.length, state()]).toEqual([3, ['valid']]);
    }),
  ),
];

/** Advances by at most so many minutes, in steps that cost little. */
async function reaches(world: World, holds: () => boolean, minutes: number): Promise<void> {
  for (let step = 0; step < 12 * minutes && !holds(); step++) await world.advance(5 * SECOND);
  expect(holds()).toBe(true);
}

/** An OpenSSH certificate up to its end of validity, with a dummy key. */
function certificate(id: string, validBefore: number): string {
  const field = (text: string) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    return Buffer.concat([length, Buffer.from(text)]);
  };
  const end = Buffer.alloc(8);
  end.writeBigUInt64BE(BigInt(validBefore));
  const type = 'ssh-ed25519-cert-v01@openssh.com';
  const [key, kind] = [Buffer.concat([field(type), field('nonce'), field('key')]), Buffer.alloc(12)];
  const blob = Buffer.concat([key, kind, field(id), field('app'), Buffer.alloc(8), end]);
  return `${type} ${blob.toString('base64')}\n`;
}

import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VaultOptions } from '../../../lib/config/options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus, type VaultEvent } from '../../../lib/events/events.js';
import { appRole, type Engine } from '../../../lib/index.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';

const PATH = 'partner/key';
const CANARY = 'canary-partner-key';
const MINUTE = 60_000;

interface Key {
  key: string;
  valid_until: string;
}

/** Answers of this engine have no lease, but say themselves until when they are valid. */
const partner: Engine<Key> = {
  name: 'partner',
  owns: ({ path }) => path.startsWith('partner/'),
  life: ({ data, sentAt }) => ({ expiresIn: Date.parse(data.reveal().valid_until) - sentAt.getTime() }),
  comparable: (data) => data.reveal().key,
};

describe('an engine of the application', () => {
  let clock: VirtualClock;
  let vault: SimulatedVault;
  let connection: VaultConnection;
  let events: VaultEvent[];
  const open: VaultConnection[] = [];

  beforeEach(() => {
    clock = new VirtualClock();
    vault = new SimulatedVault({ clock });
    vault.databaseRole('app');
    events = [];
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await clock.until(one.close());
  });

  const connect = (options: Partial<VaultOptions> = {}, policies?: string[]) => {
    const { roleId, secretId } = vault.appRole('app', policies ? { policies } : {});
    const auth = appRole({ roleId, secretId: secretId() });
    const bus = new EventBus();
    bus.events$.subscribe((event) => void events.push(event));
    const resolved = resolveOptions({ address: 'https://vault:8200', auth, ...options });
    connection = new VaultConnection(resolved, bus, clock, vault.transport());
    open.push(connection);
  };
  const put = (key: string, minutes: number) =>
    vault
      .kv('partner', 1)
      .put('key', { key, valid_until: new Date(clock.wall() + minutes * MINUTE).toISOString() });
  const watch = (engine?: Engine<Key>) => {
    const keys: string[] = [];
    const errors: unknown[] = [];
    connection.leases.watch<Key>(PATH, false, undefined, undefined, engine).subscribe({
      next: ({ data }) => keys.push(data.reveal().key),
      error: (error) => errors.push(error),
    });
    return { keys, errors };
  };
  const reads = () => vault.count(({ path }) => path === `/v1/${PATH}`);
  const warnings = () =>
    events.flatMap((event) => (event.type === 'warning' ? [`${event.code}: ${event.message}`] : []));

  it.each<[string, Partial<VaultOptions>, Engine<Key> | undefined]>([
    ['given where it is used', {}, partner],
    ['given once', { engines: [partner] }, undefined],
  ])(
    '%s has the whole life: re-read ahead of the end, no snapshot for the same, one for another',
    async (_where, options, engine) => {
      connect(options);
      put('one', 10);
      const { keys } = watch(engine);
      await clock.advance(MINUTE);
      expect(keys).toEqual(['one']);
      put('one', 20);
      await clock.advance(7 * MINUTE);
      const before = reads();
      await clock.advance(90_000);
      expect(reads()).toBeGreaterThan(before);
      expect(keys).toEqual(['one']);
      put('two', 30);
      await clock.advance(12 * MINUTE);
      expect(keys).toEqual(['one', 'two']);
      expect(connection.leases.current(PATH)?.lease.validUntil.getTime()).toBeGreaterThan(clock.wall());
      expect(events.filter(({ type }) => type === 'expired')).toEqual([]);
      expect(events.filter(({ type }) => type === 'rotated')).toHaveLength(1);
    },
  );

  it('accepts an answer in which only other members are missing or empty, not one without its secret', async () => {
    connect({ engines: [partner] });
    const kv = vault.kv('partner', 1);
    const until = (minutes: number) => new Date(clock.wall() + minutes * MINUTE).toISOString();
    kv.put('key', { key: 'one', valid_until: until(10), note: 'new', signed: 'by us' });
    const { keys } = watch();
    await clock.advance(MINUTE);
    kv.put('key', { key: 'one', valid_until: until(20), note: '' });
    await clock.advance(9 * MINUTE);
    expect(reads()).toBe(2);
    kv.put('key', { key: '', valid_until: until(30) });
    await clock.advance(10.5 * MINUTE);
    expect(keys).toEqual(['one']);
    expect(events.flatMap((event) => (event.type === 'rotation-failed' ? [event.error.code] : []))).toContain(
      'VAULT_RESPONSE_INVALID',
    );
  });

  it('is asked before the built-in ones, and leaves their paths to them', async () => {
    connect({ engines: [partner] });
    const lease = await clock.until(connection.leases.get('database/creds/app'));
    expect(lease.lease.renewable).toBe(true);
  });

  it('reads no more often than once a second where the same secret stays to its end', async () => {
    connect({ engines: [partner] });
    put('one', 10);
    const { keys } = watch();
    await clock.advance(20 * MINUTE);
    expect(keys).toEqual(['one']);
    expect(reads()).toBeLessThan((12 * MINUTE) / 1_000);
    expect(events.some(({ type }) => type === 'expired')).toBe(true);
  });

  const throws = () => {
    throw new RangeError(CANARY);
  };
  const lives: [string, unknown, RegExp][] = [
    ['throws', throws, /`life` threw RangeError/],
    ['returns nothing', () => undefined, /`life` returned undefined/],
    ['returns a promise', () => Promise.resolve({}), /`life` returned a promise/],
    ['rejects', () => Promise.reject(new Error(CANARY)), /`life` returned a promise/],
    ['returns NaN', () => ({ expiresIn: NaN }), /`expiresIn` is not a number of milliseconds/],
    ['returns a time in the past', () => ({ expiresIn: -1 }), /`expiresIn` is not a number/],
    ['returns a text', () => ({ rotatesIn: CANARY }), /`rotatesIn` is not a number/],
  ];
  it.each(lives)(
    'whose life %s fails with a typed error, and no request follows',
    async (_what, life, problem) => {
      connect();
      put(CANARY, 10);
      const { keys, errors } = watch({ ...partner, life } as Engine<Key>);
      const lease = connection.leases.get('database/creds/app');
      await clock.advance(10 * MINUTE);
      expect(errors).toMatchObject([{ code: 'VAULT_EXTENSION_INVALID', path: PATH }]);
      expect((errors[0] as Error).message).toMatch(problem);
      expect(keys).toEqual([]);
      expect(reads()).toBe(1);
      await expect(lease).resolves.toBeDefined();
      expectNoLeak([errors, events], [CANARY]);
    },
  );

  it('whose life fails later keeps the last secret, and is not asked in a storm', async () => {
    connect();
    put(CANARY, 10);
    let fails = false;
    const life: Engine<Key>['life'] = (answer) => (fails ? throws() : partner.life(answer));
    const { keys, errors } = watch({ ...partner, life });
    await clock.advance(MINUTE);
    fails = true;
    await clock.advance(8.9 * MINUTE);
    expect(connection.leases.current(PATH)).toBeDefined();
    await clock.advance(60 * MINUTE);
    expect(errors).toEqual([]);
    expect(keys).toEqual([CANARY]);
    expect(reads()).toBeLessThan(240);
    expectNoLeak([events], [CANARY]);
  });

  it.each<[string, unknown]>([
    ['throws', throws],
    ['returns nothing', () => undefined],
    ['returns a promise', () => Promise.resolve(CANARY)],
    ['rejects', () => Promise.reject(new Error(CANARY))],
    ['returns a circle', (circle: { self?: object } = {}) => (circle.self = circle)],
  ])('whose comparable %s counts each answer as another one, with one warning', async (_what, comparable) => {
    connect();
    put(CANARY, 10);
    const { keys } = watch({ ...partner, comparable } as Engine<Key>);
    await clock.advance(9.5 * MINUTE);
    expect(keys.length).toBeGreaterThan(1);
    expect(
      warnings().filter((text) =>
        text.startsWith('engine-failed: The engine "partner" failed in `comparable`'),
      ),
    ).toHaveLength(1);
    expectNoLeak([events], [CANARY]);
  });

  it.each<[string, () => unknown]>([
    ['a text', () => 'yes'],
    ['a promise that rejects', () => Promise.reject(new Error(CANARY))],
  ])('whose owns returns %s is passed over, with a warning', async (_what, owns) => {
    connect({ engines: [{ ...partner, owns } as Engine<Key>] });
    put(CANARY, 10);
    watch();
    await clock.advance(MINUTE);
    expect(warnings().filter((text) => /engine "partner" failed in `owns`/.test(text))).toHaveLength(1);
    expectNoLeak([events], [CANARY]);
  });

  it('never hides that a new lease has another user', async () => {
    const comparable = () => 'same';
    connect({ engines: [{ name: 'any', owns: () => true, life: () => ({}), comparable }] });
    vault.databaseRole('short', { defaultTtl: '1h', maxTtl: '2h' });
    const users: string[] = [];
    connection.leases
      .watch<{ username: string }>('database/creds/short', false)
      .subscribe(({ data }) => void users.push(data.reveal().username));
    await clock.advance(6 * 60 * MINUTE);
    expect(vault.liveUsers).toContain(users.at(-1));
  });

  it('whose owns or capabilities throw is passed over, with a warning', async () => {
    connect({ engines: [{ ...partner, owns: throws }] });
    put(CANARY, 10);
    const { keys } = watch();
    await clock.advance(MINUTE);
    expect(keys).toEqual([CANARY]);
    expect(warnings()).toEqual([expect.stringMatching(/failed in `owns` with RangeError/)]);
    expectNoLeak([events], [CANARY]);
  });

  it.each<[string, object | undefined, Partial<Engine<Key>>, RegExp]>([
    ['a read', undefined, {}, /path "partner\/key" \{ capabilities = \["read"\] \}/],
    ['an issue with parameters', { a: 1 }, {}, /\{ capabilities = \["update"\] \}/],
    ['its own', { a: 1 }, { capabilities: () => ['create', 'update'] }, /\["create", "update"\]/],
    ['what is no capability', undefined, { capabilities: () => [7] as never }, /\["read"\]/],
    ['what throws', undefined, { capabilities: throws }, /\["read"\]/],
  ])('names the missing rule of a policy: %s', async (_what, parameters, own, rule) => {
    vault.policy('nothing', {});
    connect({ engines: [{ ...partner, ...own }] }, ['nothing']);
    const error = await failureOf(
      clock.until(connection.leases.get(PATH, undefined, parameters as Record<string, unknown> | undefined)),
    );
    expect(error.code).toBe('VAULT_PERMISSION_DENIED');
    expect(error.hint).toMatch(rule);
    expectNoLeak([error, events], [CANARY]);
  });

  it('is the only one of its path', async () => {
    connect();
    put('one', 10);
    watch(partner);
    await clock.advance(1_000);
    watch(partner);
    watch();
    const other = watch({ ...partner });
    await clock.advance(1_000);
    expect(other.errors).toMatchObject([{ code: 'VAULT_CONFIG_INVALID', path: PATH }]);
    await connection.leases.release(PATH);
    watch();
    expect((await failureOf(connection.leases.get(PATH, 0, undefined, undefined, partner))).code).toBe(
      'VAULT_CONFIG_INVALID',
    );
  });

  it.each<[string, unknown, RegExp]>([
    ['no name', { ...partner, name: '' }, /`engines\[0\]` has no `name`/],
    ['no life', { ...partner, life: 'short' }, /`engines\[0\]` has no `life`/],
    ['no paths', { name: 'partner', life: () => ({}) }, /`engines\[0\]` has no `owns`/],
    ['nothing', undefined, /`engines\[0\]` is not an engine/],
  ])('with %s fails the start', (_what, engine, problem) => {
    const auth = appRole({ roleId: 'r' });
    expect(() => resolveOptions({ address: 'https://vault', auth, engines: [engine as Engine] })).toThrow(
      problem,
    );
    expect(() => resolveOptions({ address: 'https://vault', auth, engines: 'x' as never })).toThrow(
      /must be an array/,
    );
  });

  it('without a life is refused where it is used, too', async () => {
    connect();
    const { errors } = watch({ name: 'anything' } as unknown as Engine<Key>);
    await clock.advance(1);
    expect(errors).toMatchObject([{ code: 'VAULT_CONFIG_INVALID' }]);
    expect(reads()).toBe(0);
    // @ts-expect-error a name alone is no engine
    const named: Engine = { name: 'anything' };
    expect(named).toBeDefined();
  });
});

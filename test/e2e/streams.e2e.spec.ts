import { config, filter, firstValueFrom, Subscription, type Observable } from 'rxjs';
import type { TestingModule } from '@nestjs/testing';
import {
  appRole,
  CredentialsService,
  VaultError,
  VaultModule,
  type Credentials,
  type DatabaseCredentials,
  type VaultEvent,
  type VaultModuleOptions,
} from 'nestjs-vault';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Applications } from '../support/applications.js';
import { answer, HttpProxy } from '../support/http-proxy.js';
import { describeReal } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
  type Provisioned,
} from '../support/servers.mjs';

const ROLES = [
  { name: 'steady', defaultTtl: '60s', maxTtl: '120s' },
  { name: 'renewing', defaultTtl: '2s', maxTtl: '60s' },
  { name: 'rotating', defaultTtl: '2s', maxTtl: '4s' },
];
const POLICY = `
path "database/creds/steady" { capabilities = ["read"] }
path "database/creds/renewing" { capabilities = ["read"] }
path "database/creds/rotating" { capabilities = ["read"] }
path "database/creds/later" { capabilities = ["read"] }
path "secret/data/*" { capabilities = ["read"] }
path "sys/leases/renew" { capabilities = ["update"] }
`;

type EventOf<T extends VaultEvent['type']> = Extract<VaultEvent, { type: T }>;

describeReal('streams and holding', () => {
  const apps = new Applications();
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let proxy: HttpProxy;
  let role: Provisioned;
  let subscriptions = new Subscription();
  /** Errors thrown by consumers: RxJS would end the process with them. */
  const thrown: string[] = [];

  beforeAll(async () => {
    config.onUnhandledError = (error) => thrown.push(String(error));
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    proxy = await HttpProxy.start(bao.address);
    role = await provision(bao, postgres, { roles: ROLES, policy: POLICY });
    apps.guard(bao.rootToken, role.secretId);
  });

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all([bao?.stop(), postgres?.stop()]);
  });

  beforeEach(() => {
    proxy.clear();
    thrown.length = 0;
    subscriptions = new Subscription();
  });

  afterEach(async () => {
    proxy.fault = undefined;
    apps.guardSeen(proxy);
    await apps.finish();
    subscriptions.unsubscribe();
    expect(thrown.filter((text) => !/careless/.test(text))).toEqual([]);
  });

  const start = async (more: Partial<VaultModuleOptions> = {}) => {
    const app = await apps.start({
      imports: [
        VaultModule.forRoot({
          address: proxy.address,
          auth: appRole({ roleId: role.roleId, secretId: role.secretId }),
          retry: { initialDelay: 100, maxDelay: 200 },
          ...more,
        }),
      ],
    });
    return { app, credentials: app.get(CredentialsService) };
  };
  const issues = (name: string) => proxy.count(new RegExp(`GET /v1/database/creds/${name}$`));
  const next = <T extends VaultEvent['type']>(app: TestingModule, type: T): Promise<EventOf<T>> =>
    firstValueFrom(
      app.get(CredentialsService).events$.pipe(filter((event): event is EventOf<T> => event.type === type)),
    );
  /** Records all notifications of a stream from now on. */
  const record = <T>(stream$: Observable<T>) => {
    const seen = { values: [] as T[], error: undefined as unknown, completed: false };
    subscriptions.add(
      stream$.subscribe({
        next: (value) => seen.values.push(value),
        error: (error: unknown) => (seen.error = error),
        complete: () => (seen.completed = true),
      }),
    );
    return seen;
  };
  const user = ({ username, password }: DatabaseCredentials) => {
    apps.guard(password.reveal());
    return username.reveal();
  };
  const isUser = async (name: string) => (await usersInDatabase(postgres)).includes(name);
  const codeOf = (promise: Promise<unknown>) =>
    promise.then(
      () => 'resolved',
      (error: unknown) => (error instanceof VaultError ? error.code : error),
    );

  it('watch, database, get and current give the same credential, issued once', async () => {
    const { credentials } = await start();
    const path = 'database/creds/steady';
    expect(credentials.current(path)).toBeUndefined();
    expect(credentials.status(path)).toBeUndefined();

    const first = await firstValueFrom(credentials.database('steady'));
    const name = user(first);
    expect(await isUser(name)).toBe(true);
    const got = await credentials.get<{ username: string }>(path);
    const watched = await firstValueFrom(credentials.watch<{ username: string }>(path));
    const now = credentials.current<{ username: string }>(path);
    for (const each of [got, watched, now]) expect(each?.data.reveal().username).toBe(name);
    expect(now?.lease).toMatchObject({ path, tokenSequence: 1, renewable: true });
    expect(now?.lease.validUntil.getTime()).toBeGreaterThan(Date.now() + 50_000);
    expect(issues('steady')).toBe(1);
  });

  it('status$ and events$ report each step; recentEvents has the start-up', async () => {
    const { app, credentials } = await start();
    expect(credentials.recentEvents.map(({ type }) => type)).toEqual(['login']);
    const events: VaultEvent[] = [];
    subscriptions.add(credentials.events$.subscribe((event) => events.push(event)));
    expect(events).toEqual([]);
    const statuses = record(credentials.status$);
    await expect.poll(() => statuses.values.length).toBe(1);
    const lastStatus = () => statuses.values.at(-1)?.connections[0];
    expect(lastStatus()).toMatchObject({
      name: 'default',
      session: { state: 'valid', sequence: 1, attempt: 0 },
      leases: [],
    });
    await firstValueFrom(credentials.database('steady'));
    await expect.poll(() => lastStatus()?.leases.map(({ state }) => state)).toEqual(['valid']);
    expect(events.map(({ type }) => type)).toEqual(['issued']);
    expect(credentials.recentEvents.map(({ type }) => type)).toEqual(['login', 'issued']);
    expect(credentials.status('database/creds/steady')).toMatchObject({
      state: 'valid',
      attempt: 0,
      next: { action: 'renew' },
    });
    await app.close();
    expect(events.map(({ type }) => type)).toEqual(['issued', 'closing', 'token-ended', 'closed']);
    expect(lastStatus()).toMatchObject({ session: { state: 'closed' }, leases: [] });
    expect(statuses.completed).toBe(true);
    apps.note(JSON.stringify([events, credentials.recentEvents]));
  });

  it('unsubscribing and firstValueFrom retire nothing', async () => {
    const { app, credentials } = await start();
    const name = user(await firstValueFrom(credentials.database('renewing')));
    const subscription = credentials.database('renewing').subscribe();
    subscription.unsubscribe();
    // Renewed without a subscriber, beyond the TTL of the first grant.
    await next(app, 'renewed');
    await next(app, 'renewed');
    expect(credentials.status('database/creds/renewing')?.state).toBe('valid');
    expect(await isUser(name)).toBe(true);
    expect(user(await firstValueFrom(credentials.database('renewing')))).toBe(name);
    expect(issues('renewing')).toBe(1);
    const increments = proxy.seen.filter(({ body }) => /"increment"/.test(body));
    expect(increments).toEqual([]);
  });

  it('release: streams complete, the user is removed, and another request issues anew', async () => {
    const { credentials } = await start();
    const path = 'database/creds/steady';
    const [one, two] = [record(credentials.database('steady')), record(credentials.watch(path))];
    await expect.poll(() => one.values.length + two.values.length).toBe(2);
    const name = user(one.values[0] as DatabaseCredentials);
    await credentials.release(path);
    expect([one.completed, two.completed]).toEqual([true, true]);
    expect(credentials.current(path)).toBeUndefined();
    expect(credentials.status(path)).toBeUndefined();
    await expect.poll(() => isUser(name), { timeout: 5_000 }).toBe(false);

    const again = user(await firstValueFrom(credentials.database('steady')));
    expect(again).not.toBe(name);
    expect(await isUser(again)).toBe(true);
    await credentials.release('never/asked/for');
  });

  it('release during the first read leaves no user behind', async () => {
    const { credentials } = await start();
    proxy.fault = async (request) => {
      if (/creds/.test(request.url ?? '')) await new Promise((resolve) => setTimeout(resolve, 200));
      return false;
    };
    const stream = record(credentials.database('steady'));
    await expect.poll(() => issues('steady')).toBe(1);
    await credentials.release('database/creds/steady');
    expect(stream).toMatchObject({ completed: true, values: [] });
    await expect.poll(() => proxy.seen.at(-1)?.url, { timeout: 3_000 }).toBe('/v1/sys/leases/renew');
    await expect.poll(() => usersInDatabase(postgres), { timeout: 5_000 }).toEqual([]);
  });

  it('a failed first read is not cached: once the role exists it works; until then the rate is limited', async () => {
    const { credentials } = await start();
    const path = 'database/creds/later';
    expect(await codeOf(credentials.get(path))).toBe('VAULT_ROLE_NOT_FOUND');
    expect(await codeOf(firstValueFrom(credentials.watch(path)))).toBe('VAULT_ROLE_NOT_FOUND');
    const codes = await Promise.all(Array.from({ length: 50 }, () => codeOf(credentials.get(path))));
    expect(new Set(codes)).toEqual(new Set(['VAULT_ROLE_NOT_FOUND']));
    expect(issues('later')).toBeLessThanOrEqual(2);

    const { body } = await bao.api('GET', 'database/roles/steady');
    await bao.api('POST', 'database/roles/later', body.data);
    await expect.poll(() => codeOf(credentials.get(path))).toBe('resolved');
    expect(user(await firstValueFrom(credentials.database('later')))).toMatch(/later/);
    await bao.api('DELETE', 'database/roles/later');
  });

  it('permission denied at the first read ends a stream, unless it keeps trying', async () => {
    const { app, credentials } = await start();
    await bao.api(
      'POST',
      'database/roles/granted',
      (await bao.api('GET', 'database/roles/steady')).body.data,
    );
    const plain = record(credentials.database('granted'));
    await expect.poll(() => plain.error).toMatchObject({ code: 'VAULT_PERMISSION_DENIED', status: 403 });
    // Requested right after a refusal, while the rate is limited.
    const patient = record(credentials.database('granted', { keepTrying: true }));
    const failed = await next(app, 'rotation-failed');
    expect(failed.error.code).toBe('VAULT_PERMISSION_DENIED');
    expect(patient).toEqual({ values: [], error: undefined, completed: false });
    expect(credentials.status('database/creds/granted')).toMatchObject({ state: 'pending' });

    const granted = `${POLICY} path "database/creds/granted" { capabilities = ["read"] }`;
    await bao.api('PUT', 'sys/policies/acl/app', { policy: granted });
    await expect.poll(() => patient.values.length, { timeout: 3_000 }).toBe(1);
    expect(await isUser(user(patient.values[0] as DatabaseCredentials))).toBe(true);
    // The ended stream stays ended; a new one works.
    expect(plain.values).toEqual([]);
    expect(await codeOf(firstValueFrom(credentials.database('granted')))).toBe('resolved');
    await bao.api('PUT', 'sys/policies/acl/app', { policy: POLICY });
  });

  it('a subscriber that throws does not affect others', async () => {
    const { app, credentials } = await start();
    const before = record(credentials.database('rotating'));
    subscriptions.add(
      credentials.database('rotating').subscribe(() => {
        throw new Error('a careless consumer');
      }),
    );
    const after = record(credentials.database('rotating'));
    await next(app, 'rotated');
    await expect.poll(() => [before.values.length, after.values.length]).toEqual([2, 2]);
    expect(before.values.map(user)).toEqual(after.values.map(user));
    await expect.poll(() => thrown.length).toBe(2);
    expect(credentials.status('database/creds/rotating')).toMatchObject({ state: 'valid', attempt: 0 });
  });

  it('a listener of events that throws does not affect others', async () => {
    const { credentials } = await start();
    for (const stream$ of [credentials.events$, credentials.status$] as Observable<unknown>[])
      subscriptions.add(
        stream$.subscribe(() => {
          throw new Error('a careless listener');
        }),
      );
    const events = record(credentials.events$);
    user(await firstValueFrom(credentials.database('steady')));
    await expect.poll(() => events.values.map(({ type }) => type)).toEqual(['issued']);
    await expect.poll(() => thrown.length).toBeGreaterThanOrEqual(2);
  });

  it('renewals do not emit, rotations do: once each, with the old user still there', async () => {
    const { app, credentials } = await start();
    const stream = record(credentials.database('rotating'));
    await next(app, 'rotated');
    expect(stream.values).toHaveLength(2);
    const [first, second] = stream.values.map(user) as [string, string];
    expect(first).not.toBe(second);
    expect(await usersInDatabase(postgres)).toEqual(expect.arrayContaining([first, second]));
    const renewed = credentials.recentEvents.filter(({ type }) => type === 'renewed');
    expect(renewed.length).toBeGreaterThanOrEqual(1);
    expect(issues('rotating')).toBe(2);
    await expect.poll(() => isUser(first), { timeout: 3_000 }).toBe(false);
  });

  it('a KV secret can be watched: it does not expire, and is read once', async () => {
    const { credentials } = await start();
    await bao.api('POST', 'secret/data/still', { data: { value: 1 } });
    const stream = record(credentials.watch('secret/data/still'));
    await expect.poll(() => stream.values.length).toBe(1);
    const second = record(credentials.watch('secret/data/still'));
    await expect.poll(() => second.values.length).toBe(1);
    expect(credentials.status('secret/data/still')).toMatchObject({
      state: 'valid',
      next: { action: 'none' },
    });
    expect(proxy.count(/secret\/data\/still/)).toBe(1);
    expect(stream.values[0]).toBe(second.values[0]);
  });

  it('an expired credential is not replayed; the stream goes on when the server is reachable again', async () => {
    const { app, credentials } = await start();
    const path = 'database/creds/renewing';
    const stream = record(credentials.database('renewing'));
    await expect.poll(() => stream.values.length).toBe(1);
    const expired = next(app, 'expired');
    // Slow, so that some of the reads below come during an attempt.
    proxy.fault = async (_request, response) => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      return answer(response, 503, { errors: ['Vault is sealed'] });
    };
    await expired;
    expect(credentials.current(path)).toBeUndefined();
    expect(credentials.status(path)).toMatchObject({ state: 'expired' });
    const late = record(credentials.database('renewing'));
    const codes = new Set<unknown>();
    for (let count = 0; count < 6; count++) {
      const begin = performance.now();
      codes.add(await codeOf(withDeadline(credentials.get(path), 3_000)));
      expect(performance.now() - begin).toBeLessThan(1_500);
      await new Promise((resolve) => setTimeout(resolve, 35));
    }
    expect(codes).toEqual(new Set(['VAULT_CREDENTIALS_EXPIRED']));
    expect(late).toEqual({ values: [], error: undefined, completed: false });
    expect(stream.values).toHaveLength(1);

    proxy.fault = undefined;
    await expect.poll(() => [stream.values.length, late.values.length], { timeout: 3_000 }).toEqual([2, 1]);
    const [old, fresh] = stream.values.map(user) as [string, string];
    expect(fresh).not.toBe(old);
    expect(await isUser(fresh)).toBe(true);
    expect(user(late.values[0] as DatabaseCredentials)).toBe(fresh);
    expect((await credentials.get<{ username: string }>(path)).data.reveal().username).toBe(fresh);
    expect(stream).toMatchObject({ error: undefined, completed: false });
  });

  it('a held lease outlasts its rotation, and is retired when it is released', async () => {
    const { app, credentials } = await start({ renewal: { grace: 0 } });
    const first = await firstValueFrom(credentials.database('rotating'));
    const name = user(first);
    const release = first.lease.hold();
    const releaseAgain = first.lease.hold();
    await next(app, 'rotated');
    const retirements = () => proxy.seen.filter(({ body }) => /"increment":1\b/.test(body)).length;
    expect(credentials.status('database/creds/rotating')?.superseded).toBe(1);
    release();
    // A second release of the same hold has no effect.
    release();
    expect(retirements()).toBe(0);
    expect(credentials.recentEvents.map(({ type }) => type)).not.toContain('drained');
    expect(await isUser(name)).toBe(true);
    const drained = next(app, 'drained');
    releaseAgain();
    expect(await drained).toMatchObject({ path: 'database/creds/rotating', serial: 1 });
    await expect.poll(() => isUser(name), { timeout: 3_000 }).toBe(false);
  });

  it('release of a held path waits for the holder before the user is removed', async () => {
    const { credentials } = await start();
    const path = 'database/creds/renewing';
    const held = await credentials.get<{ username: string }>(path);
    const name = held.data.reveal().username;
    const release = held.lease.hold();
    await credentials.release(path);
    expect(credentials.current(path)).toBeUndefined();
    // Longer than the 2 s of the grant: the lease is renewed for the holder.
    await new Promise((resolve) => setTimeout(resolve, 2_600));
    expect(await isUser(name)).toBe(true);
    release();
    await expect.poll(() => isUser(name), { timeout: 4_000 }).toBe(false);
  });

  it('snapshots are immutable and print nothing', async () => {
    const { credentials } = await start();
    const database = await firstValueFrom(credentials.database('steady'));
    const snapshot = (await credentials.get('database/creds/steady')) as Credentials<{ password: string }>;
    for (const each of [database, snapshot, snapshot.lease, snapshot.data.reveal()])
      expect(Object.isFrozen(each)).toBe(true);
    apps.guard(snapshot.data.reveal().password);
    apps.note(
      `${JSON.stringify([database, snapshot])} ${String(snapshot.data)} ${String(database.password)}`,
    );
  });
});

/** Rejects with a plain error if a promise takes too long. */
function withDeadline<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  return Promise.race([
    promise,
    new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error('took too long')), milliseconds).unref();
    }),
  ]);
}

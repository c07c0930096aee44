import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, expect, it } from 'vitest';
import { appRole } from '../../../lib/auth/app-role.js';
import type { Sender, TransportRequest } from '../../../lib/client/transport.types.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { resolveInjection } from '../../../lib/discovery/resolve-injection.js';
import type { Credentials } from '../../../lib/leases/lease.js';
import { SimulatedVault, VirtualClock } from '../../../lib/testing/index.js';

/** The store of a module for request contexts, as nestjs-cls, nestjs-pino or OpenTelemetry. */
const requests = new AsyncLocalStorage<string>();
/** The request context of each recorded step. */
let seen: { what: string; in: string }[] = [];
const note = (what: string) => seen.push({ what, in: requests.getStore() ?? 'no request' });
const strangers = () => seen.filter((one) => one.in !== 'no request');

afterEach(() => {
  seen = [];
});

function world() {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  vault.databaseRole('app', { defaultTtl: 20, maxTtl: 70 });
  vault.kv().put('app', { url: 'one' });
  const { roleId, secretId } = vault.appRole('app', { tokenTtl: 30, tokenMaxTtl: 100 });
  const network = vault.transport();
  const transport: Sender = {
    send: (request: TransportRequest) => {
      note(`${request.method} ${request.path.replace('/v1', '')}`);
      return network.send(request);
    },
    close: () => network.close(),
  };
  const bus = new EventBus();
  bus.events$.subscribe(({ type }) => note(type));
  const source = () => {
    note('secret_id');
    return secretId();
  };
  const options = { address: 'http://vault.test', auth: appRole({ roleId, secretId: source }) };
  const connection = new VaultConnection(resolveOptions(options), bus, clock, transport);
  connection.changes$.subscribe(() => note('a change'));
  return { clock, vault, connection, bus };
}

/** Advances the time in a context of its own, in which timers of the virtual clock run. */
const pass = (clock: VirtualClock, milliseconds: number) =>
  requests.run('the clock', () => clock.advance(milliseconds));

it('only a direct call runs in the context of its caller', async () => {
  const { clock, vault, connection } = world();
  const snapshots: Credentials[] = [];
  await requests.run('first', async () => {
    await clock.until(connection.leases.get('database/creds/app'));
    note('an awaited call goes on');
    connection.secrets.watch('app', { every: 5_000 }).subscribe(() => note('a KV secret'));
    connection.leases.watch('database/creds/app', false).subscribe((one) => {
      if (snapshots.push(one) > 1) note('a snapshot');
    });
    await clock.until(connection.client.read('secret/data/app'));
  });
  expect(strangers()).toEqual([
    { what: 'an awaited call goes on', in: 'first' },
    { what: 'GET /secret/data/app', in: 'first' },
  ]);

  seen = [];
  const letGo = requests.run('consumer', () => snapshots[0]?.lease.hold({ drain: 5_000 }));
  await pass(clock, 250_000);
  vault.kv().put('app', { url: 'two' });
  await pass(clock, 10_000);
  requests.run('consumer', () => letGo?.());
  await pass(clock, 10_000);
  expect(strangers()).toEqual([]);
  const kinds = new Set(seen.map(({ what }) => what));
  expect([...kinds]).toEqual(
    expect.arrayContaining([
      'POST /auth/approle/login',
      'POST /auth/token/renew-self',
      'POST /auth/token/revoke-self',
      'POST /sys/leases/renew',
      'GET /database/creds/app',
      'GET /secret/data/app',
      'secret_id',
      'login',
      'renewed',
      'rotated',
      'retired',
      'secret-changed',
      'a snapshot',
      'a KV secret',
      'a change',
    ]),
  );
  await clock.until(connection.close());
});

it('an event that a caller notices first does not run in the context of that caller', async () => {
  const { clock, vault, connection } = world();
  await clock.until(connection.leases.get('database/creds/app'));

  seen = [];
  vault.revokeLease('database/creds/app');
  const refused = connection.leases.current('database/creds/app')?.lease;
  await requests.run('consumer', () =>
    clock.until(refused?.reportRejected?.({ confirmed: true }) ?? Promise.resolve()),
  );
  await pass(clock, 1_000);
  expect(seen.map(({ what }) => what)).toContain('rotated');
  expect(strangers()).toEqual([]);

  seen = [];
  vault.revokeAllTokens();
  await requests.run('reader', () => clock.until(connection.client.read('secret/data/app')));
  await pass(clock, 1_000);
  expect(seen.map(({ what }) => what)).toEqual(
    expect.arrayContaining(['GET /auth/token/lookup-self', 'login', 'rotated']),
  );
  // The read itself, with the revoked token and with the next one.
  const read = { what: 'GET /secret/data/app', in: 'reader' };
  expect(strangers()).toEqual([read, read]);

  seen = [];
  await requests.run('releaser', () => clock.until(connection.leases.release('database/creds/app')));
  await requests.run('closer', () => clock.until(connection.close()));
  expect(seen.map(({ what }) => what)).toEqual(expect.arrayContaining(['closing', 'closed']));
  expect(strangers()).toEqual([]);
});

it('a listener that enters a context does not affect later work', async () => {
  const { clock, connection, bus } = world();
  bus.events$.subscribe(() => requests.enterWith('a listener'));
  connection.changes$.subscribe(() => requests.enterWith('a listener'));
  connection.leases.watch('database/creds/app', false).subscribe(() => requests.enterWith('a listener'));
  await pass(clock, 250_000);
  expect(seen.filter(({ what }) => what === 'rotated').length).toBeGreaterThan(1);
  expect(strangers()).toEqual([]);
  await clock.until(connection.close());
});

it('a static secret is read once for all callers, and in the context of none', async () => {
  const { clock, connection } = world();
  const definition = { kind: 'secret', token: 'one', connection: 'default', path: 'app' } as const;
  await requests.run('first', () =>
    clock.until(resolveInjection(connection, definition) as Promise<unknown>),
  );
  expect(seen.map(({ what }) => what)).toContain('GET /secret/data/app');
  expect(strangers()).toEqual([]);
  await clock.until(connection.close());
});

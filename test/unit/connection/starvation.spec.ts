import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appRole } from '../../../lib/auth/app-role.js';
import { TransportTimeout } from '../../../lib/client/transport-errors.js';
import { sleep } from '../../../lib/clock/clock.js';
import type { Sender, TransportRequest } from '../../../lib/client/transport.types.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus, type VaultEvent } from '../../../lib/events/events.js';
import type { DatabaseCredentials } from '../../../lib/index.js';
import { SimulatedVault, VirtualClock } from '../../../lib/testing/index.js';

const SECOND = 1_000;
const HEALTHY = 'database/creds/healthy';
const HOURS = 36_000_000;

/** Requests that never reach the server, and requests that are never answered. */
interface World {
  vault: SimulatedVault;
  connection: VaultConnection;
  /** Requests about leases of this engine hang, too, though their paths do not show it. */
  hang(engine: string): void;
}

/** Keeps so many requests of a kind pending; the index distinguishes them. */
type Neighbour = (world: World, index: number) => Promise<unknown> | void;

/** Starts the next request when one has ended. */
const again =
  (ask: (world: World, index: number) => Promise<unknown>): Neighbour =>
  (world, index) => {
    const next = (): void => {
      if (closed.has(world)) return;
      void ask(world, index).then(next, next);
    };
    next();
  };
const closed = new Set<World>();
/** Issued while the engine still works, so that renewals and look-ups hang. */
const leased =
  (then: (world: World, path: string) => unknown = () => undefined): Neighbour =>
  async (world, index) => {
    const path = `database/creds/hole-${index}`;
    await world.connection.leases.get(path, 600 * SECOND);
    then(world, path);
  };

const KINDS: Record<string, Neighbour> = {
  reads: again(({ connection }) => connection.client.read('kv1/slow')),
  lists: again(({ connection }) => connection.client.list('kv1/slow')),
  writes: again(({ connection }) => connection.client.write('kv1/slow', { a: 1 })),
  deletions: again(({ connection }) => connection.client.delete('kv1/slow')),
  'slow bodies': again(({ connection }) => connection.client.read('kv1/late')),
  'KV reads': again(({ connection }, index) => connection.secrets.read(`slow-${index}`, {})),
  'KV watches': ({ connection }, index) =>
    void connection.secrets.watch(`slow-${index}`, { every: SECOND }).subscribe({ error: () => undefined }),
  'issues of an engine that hangs': ({ connection }, index) =>
    void connection.leases.watch(`hole/creds/r${index}`, true).subscribe({ error: () => undefined }),
  'issues of many engines that hang': ({ connection }, index) =>
    void connection.leases.watch(`hole-${index}/creds/r`, true).subscribe({ error: () => undefined }),
  'issues with parameters': ({ connection }, index) =>
    void connection.leases.watch('hole/issue/r', true, { index }).subscribe({ error: () => undefined }),
  'renewals that hang, and issues in their place': leased(),
  'look-ups that hang': leased(({ connection }, path) => {
    void connection.leases.current(path)?.lease.reportRejected?.({ confirmed: true });
  }),
  'requests that cannot be sent': again(async ({ connection }) => {
    await connection.client.read('kv1/slow', { headers: { te: 'trailers' } }).catch(() => undefined);
    await sleep(clock, 2 * SECOND);
  }),
  'requests that are aborted': again(({ connection }) =>
    connection.client.read('kv1/slow', { timeout: 2 * SECOND }),
  ),
};
/** Kinds that begin before the engine hangs. */
const LEASED = new Set(['renewals that hang, and issues in their place', 'look-ups that hang']);

let clock: VirtualClock;
beforeEach(() => {
  clock = new VirtualClock();
});
const worlds = new Set<World>();
afterEach(async () => {
  for (const world of worlds) {
    closed.add(world);
    world.vault.clearFaults();
    await clock.until(world.connection.close());
  }
  worlds.clear();
});

async function open(roles: number): Promise<{ world: World; events: VaultEvent[] }> {
  const vault = new SimulatedVault({ clock });
  // Renewed, and replaced at its max TTL.
  vault.databaseRole('healthy', { defaultTtl: 6, maxTtl: 20 });
  for (let role = 0; role < roles; role++) vault.databaseRole(`hole-${role}`, { defaultTtl: 6, maxTtl: 60 });
  const hanging = new Set<string>();
  const inner = vault.transport();
  const transport: Sender = {
    send: (request: TransportRequest) =>
      [...hanging].some((engine) => request.path.includes(engine) || request.body?.includes(engine))
        ? new Promise((_resolve, reject) => {
            clock.setTimer(request.timeout, () => reject(new TransportTimeout('sent')));
          })
        : inner.send(request),
    close: () => inner.close(),
  };
  const { roleId, secretId } = vault.appRole('app', { tokenTtl: 8, tokenMaxTtl: 30 });
  const auth = appRole({ roleId, secretId: secretId() });
  const bus = new EventBus();
  const events: VaultEvent[] = [];
  bus.events$.subscribe((event) => events.push(event));
  const options = resolveOptions({ address: 'http://vault.test', auth });
  const connection = new VaultConnection(options, bus, clock, transport);
  const world: World = { vault, connection, hang: (engine) => void hanging.add(engine) };
  worlds.add(world);
  await clock.until(connection.login());
  return { world, events };
}

describe.each([8, 40, 200])('%i hanging neighbours', (count) => {
  it.each(Object.entries(KINDS))('%s: a healthy lease of 6 s never expires', async (kind, neighbour) => {
    const leases = LEASED.has(kind);
    const { world, events } = await open(leases ? count : 0);
    const { vault, connection } = world;
    const healthy = connection.leases.watch<{ username: string; password: string }>(HEALTHY, false);
    let current: { username: string; password: string } | undefined;
    healthy.subscribe(({ data }) => (current = data.reveal()));
    await clock.advance(0);
    if (leases) {
      const all = Array.from({ length: count }, async (_, index) => neighbour(world, index));
      await clock.until(Promise.all(all));
      world.hang('hole');
    } else {
      vault.delay(HOURS, { match: /slow|hole/ }, { before: true });
      vault.delay(HOURS, { match: /late/ });
      for (let index = 0; index < count; index++) void neighbour(world, index);
    }
    for (let second = 0; second < 45; second++) {
      await clock.advance(SECOND);
      expect(vault.isValid(current!.username, current!.password), `after ${second} s`).toBe(true);
    }
    const of = (type: VaultEvent['type']) =>
      events.filter((event) => event.type === type && 'path' in event && event.path === HEALTHY);
    expect([of('expired'), of('renewal-failed'), of('rotation-failed')]).toEqual([[], [], []]);
    expect(of('renewed').length).toBeGreaterThan(4);
    expect(of('rotated').length).toBeGreaterThan(1);
    expect(connection.status.session.state).toBe('valid');
  });
});

it('a healthy engine issues while eight roles of another one hang', async () => {
  const { world } = await open(0);
  const { vault, connection } = world;
  vault.delay(HOURS, { match: /hole/ }, { before: true });
  for (let index = 0; index < 40; index++)
    void connection.leases.get(`hole/creds/r${index}`).catch(() => undefined);
  await clock.advance(0);
  const credentials = connection.leases.get<DatabaseCredentials>(HEALTHY);
  await clock.advance(0);
  expect((await credentials).lease.serial).toBe(1);
});

import type { Sender } from '../../lib/client/transport.types.js';
import { systemClock, type Clock } from '../../lib/clock/clock.js';
import type { VaultOptions } from '../../lib/config/options.js';
import { resolveOptions } from '../../lib/config/resolved-options.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import { EventBus, type VaultEvent } from '../../lib/events/events.js';
import type { Credentials } from '../../lib/leases/lease.js';
import type { Life } from './world.js';

/** Starts a connection whose events are recorded; with `path`, waits for its first snapshot. */
export async function live(
  options: VaultOptions,
  path: string | undefined,
  { clock = systemClock, transport }: { clock?: Clock; transport?: Sender } = {},
): Promise<Life> {
  const bus = new EventBus();
  const events: VaultEvent[] = [];
  bus.events$.subscribe((event) => events.push(event));
  const connection = new VaultConnection(resolveOptions(options), bus, clock, transport);
  const life: Life = {
    connection,
    bus,
    events,
    published: [],
    ended: [],
    of: <T extends VaultEvent['type']>(type: T) =>
      events.filter((event): event is Extract<VaultEvent, { type: T }> => event.type === type),
  };
  if (connection.startup.login !== 'deferred') await connection.login();
  if (path !== undefined) {
    await new Promise<void>((resolve, reject) => {
      connection.leases.watch<{ username: string; password: string }>(path, false).subscribe({
        next: (credentials: Credentials<{ username: string; password: string }>) => {
          life.published.push(credentials);
          resolve();
        },
        error: (error: unknown) => {
          life.ended.push(error);
          reject(error as Error);
        },
        complete: () => life.ended.push('complete'),
      });
    });
  }
  return life;
}

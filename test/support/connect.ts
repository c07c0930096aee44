import { resolveOptions } from '../../lib/config/resolved-options.js';
import type { VaultOptions } from '../../lib/config/options.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import { EventBus } from '../../lib/events/events.js';
import type { Clock } from '../../lib/clock/clock.js';

const open = new Set<VaultConnection>();

/** A connection that tells failures at once, instead of trying again; {@link closeConnections} ends it. */
export function connect(
  options: VaultOptions,
  clock?: Clock,
): { connection: VaultConnection; bus: EventBus } {
  const bus = new EventBus();
  const impatient = { startup: { timeout: 0 }, retry: { initialDelay: 1, maxDelay: 1 } };
  const connection = new VaultConnection(resolveOptions({ ...impatient, ...options }), bus, clock);
  open.add(connection);
  return { connection, bus };
}

/** For `afterEach`. */
export async function closeConnections(): Promise<void> {
  await Promise.all([...open].map((connection) => connection.close()));
  open.clear();
}

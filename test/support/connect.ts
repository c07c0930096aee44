import { resolveOptions } from '../../lib/config/resolved-options.js';
import type { TlsOptions } from '../../lib/client/tls-options.js';
import type { VaultOptions } from '../../lib/config/options.js';
import type { ResolvedProxy } from '../../lib/client/proxy.js';
import { resolveTls } from '../../lib/client/tls.js';
import { Connector } from '../../lib/client/connector.js';
import { serverAddresses } from '../../lib/client/server-address.js';
import { Transport } from '../../lib/client/transport.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import { EventBus } from '../../lib/events/events.js';
import type { Clock } from '../../lib/clock/clock.js';
import type { Sender } from '../../lib/client/transport.types.js';

const open = new Set<VaultConnection>();

/** A connection that reports failures at once, without retries; {@link closeConnections} ends it. */
export function connect(
  options: VaultOptions,
  clock?: Clock,
  transport?: Sender,
): { connection: VaultConnection; bus: EventBus } {
  const bus = new EventBus();
  const impatient = { startup: { timeout: 0 }, retry: { initialDelay: 1, maxDelay: 1 } };
  const connection = new VaultConnection(resolveOptions({ ...impatient, ...options }), bus, clock, transport);
  open.add(connection);
  return { connection, bus };
}

/** The transport to these addresses, with `tls` options or without; a connection attempt may take `timeout`. */
export function transportTo(
  given: readonly string[],
  tls?: TlsOptions,
  timeout = 5_000,
  proxy?: ResolvedProxy,
): Transport {
  const listener = { reloaded: () => undefined, unusable: () => undefined };
  const addresses = serverAddresses(given, proxy);
  return new Transport(addresses, new Connector(addresses, resolveTls(tls, []), timeout, listener));
}

/** For `afterEach`. */
export async function closeConnections(): Promise<void> {
  await Promise.all([...open].map((connection) => connection.close()));
  open.clear();
}

import { appRole } from '../../../lib/auth/app-role.js';
import type { VaultOptions } from '../../../lib/config/options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { SimulatedVault, VirtualClock } from '../../../lib/testing/index.js';

/** A simulated server with a virtual clock, and connections to it. */
export class World {
  readonly clock = new VirtualClock();
  readonly vault = new SimulatedVault({ clock: this.clock });
  readonly opened: VaultConnection[] = [];

  constructor() {
    this.vault.databaseRole('app', { defaultTtl: 60, maxTtl: 200 });
    this.vault.kv('secret').put('app', { url: 'canary-in-a-kv-secret' });
  }

  connect(name = 'default', options: Partial<VaultOptions> = {}): VaultConnection {
    const role = this.vault.appRole(name, { tokenTtl: 600, tokenMaxTtl: 3_600 });
    const auth = appRole({ roleId: role.roleId, secretId: role.secretId() });
    const connection = new VaultConnection(
      resolveOptions({ address: 'http://vault.test', auth, ...options }, name),
      new EventBus(),
      this.clock,
      this.vault.transport(),
    );
    this.opened.push(connection);
    return connection;
  }

  /** Milliseconds of virtual time. */
  pass(milliseconds: number): Promise<void> {
    return this.clock.advance(milliseconds);
  }

  async end(): Promise<void> {
    for (const connection of this.opened) await this.clock.until(connection.close());
  }
}

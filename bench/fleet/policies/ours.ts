// This package: a real connection, with its scheduler, its policies and its defaults, not a model.
import { appRole } from '../../../lib/index.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import type { Client, Credential, Instance, Surroundings } from '../instance.js';

class Ours implements Instance {
  readonly #connection: VaultConnection;
  readonly #path: string;

  constructor({ clock, server, roleId, secretId, path }: Surroundings) {
    const options = resolveOptions({ address: 'http://vault.test', auth: appRole({ roleId, secretId }) });
    this.#connection = new VaultConnection(options, new EventBus(), clock, server);
    this.#path = path;
  }

  start(): void {
    void this.#connection.login().then(() => this.#connection.leases.watch(this.#path, false).subscribe());
  }

  current(): Credential | undefined {
    return this.#connection.leases.current<Credential>(this.#path)?.data.reveal();
  }

  get failing(): boolean {
    const { session, leases } = this.#connection.status;
    return session.state !== 'valid' || leases.some(({ state }) => state !== 'valid');
  }
}

export const ours: Client = {
  id: 'ours',
  name: 'nestjs-vault',
  renewsAt: 0.66,
  make: (surroundings) => new Ours(surroundings),
};

import { Injectable, type BeforeApplicationShutdown, type OnApplicationShutdown } from '@nestjs/common';
import { VaultConnections } from './connection/vault-connections.js';

/**
 * Shutdown in two steps: while requests in flight drain, renewals go on; then what this process logged in for ends.
 * Not in `onModuleDestroy`, which in some versions of Nest comes before the application's own.
 */
@Injectable()
export class VaultShutdown implements BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #connections: VaultConnections;

  constructor(connections: VaultConnections) {
    this.#connections = connections;
  }

  beforeApplicationShutdown(): void {
    for (const connection of this.#connections.up) connection.freeze();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#connections.close();
  }
}

import {
  Inject,
  Injectable,
  Optional,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { warnWithoutListener } from './connection/signal-check.js';
import { VaultConnections } from './connection/vault-connections.js';
import { NestLogger } from './discovery/nest-logger.js';
import { ENVIRONMENT_TOKEN } from './vault.environment.js';

/**
 * Shutdown in two steps: while requests in flight drain, renewals go on; then the tokens and leases of this process
 * end. In `onModuleDestroy`, which some versions of Nest call before the application's own, only the status changes: all of
 * these hooks end before the first `beforeApplicationShutdown`, in which an application may wait.
 */
@Injectable()
export class VaultShutdown
  implements
    OnModuleInit,
    OnApplicationBootstrap,
    OnModuleDestroy,
    BeforeApplicationShutdown,
    OnApplicationShutdown
{
  readonly #connections: VaultConnections;
  readonly #underTest: boolean;
  #cancelCheck: (() => void) | undefined;

  constructor(connections: VaultConnections, @Optional() @Inject(ENVIRONMENT_TOKEN) environment?: object) {
    this.#connections = connections;
    this.#underTest = environment !== undefined;
  }

  /** Nest calls it before those of the application, because the module is global. */
  onModuleInit(): void {
    this.#connections.built();
  }

  /** Warns once if SIGTERM would end the process without shutdown hooks. */
  onApplicationBootstrap(): void {
    this.#connections.started();
    if (this.#underTest) return;
    const remedy = 'Call `enableShutdownHooks()` of the application, or of the application context.';
    this.#cancelCheck = warnWithoutListener(new NestLogger(), remedy);
  }

  onModuleDestroy(): void {
    for (const connection of this.#connections.up) connection.drain();
  }

  beforeApplicationShutdown(): void {
    this.#cancelCheck?.();
    for (const connection of this.#connections.up) connection.freeze();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#connections.close();
  }
}

import {
  Inject,
  Injectable,
  Logger,
  Optional,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { systemClock } from './clock/clock.js';
import { VaultConnections } from './connection/vault-connections.js';
import { ENVIRONMENT_TOKEN } from './vault.environment.js';

/** Milliseconds after the start: `main.ts` may call `enableShutdownHooks()` after `listen()`. */
const LOOK_FOR_HOOKS_AFTER = 1_000;

/**
 * Shutdown in two steps: while requests in flight drain, renewals go on; then the tokens and leases of this process
 * end. Not in `onModuleDestroy`, which some versions of Nest call before the application's own.
 */
@Injectable()
export class VaultShutdown
  implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  readonly #connections: VaultConnections;
  readonly #underTest: boolean;
  #cancelTimer: (() => void) | undefined;

  constructor(connections: VaultConnections, @Optional() @Inject(ENVIRONMENT_TOKEN) environment?: object) {
    this.#connections = connections;
    this.#underTest = environment !== undefined;
  }

  /** Warns once if SIGTERM would end the process without shutdown hooks. */
  onApplicationBootstrap(): void {
    this.#connections.started();
    if (this.#underTest) return;
    this.#cancelTimer = systemClock.setTimer(LOOK_FOR_HOOKS_AFTER, () => {
      if (process.listenerCount('SIGTERM') > 0) return;
      new Logger('VaultModule').warn(
        'The process has no listener for SIGTERM, so its credentials stay valid until their TTL ends. Call ' +
          '`app.enableShutdownHooks()` in main.ts.',
      );
    });
  }

  beforeApplicationShutdown(): void {
    this.#cancelTimer?.();
    for (const connection of this.#connections.up) connection.freeze();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#connections.close();
  }
}

import { Inject, Injectable } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { Application } from '../configuration/application.js';
import type { VaultConnection } from '../connection/vault-connection.js';
import {
  readinessOf,
  refusalOf,
  STARTING,
  startupOf,
  type VaultConnectionHealth,
  type VaultHealthDetails,
} from './connection-health.js';
import {
  assertOptions,
  type VaultLivenessOptions,
  type VaultReadinessOptions,
  type VaultStartupOptions,
} from './health-options.js';

const STARTUP = ['connection', 'paths', 'showPaths'];
const READINESS = [...STARTUP, 'minimumTimeLeft', 'poolRejectedFor'];
const LIVENESS = ['connection', 'loginRefusedFor'];

/**
 * Answers the probes of an orchestrator with the status that the application has anyway: no check sends a request. An
 * answer has the state of each connection and the least time that is left, but no secret, no id and, by default, no path.
 *
 * List it in the `providers` of the module with the health controller, and import `TerminusModule` there.
 *
 * Each method throws a `VaultError`, which the probe answers with status 500: `VAULT_CONFIG_INVALID` for invalid options,
 * `VAULT_PATH_INVALID` for an invalid path of `paths`, and `VAULT_CONNECTION_UNKNOWN` if the application declares no such
 * connection, or none at all.
 *
 * @example
 * @Controller('health')
 * export class HealthController {
 *   constructor(
 *     private readonly health: HealthCheckService,
 *     private readonly vault: VaultHealthIndicator,
 *   ) {}
 *
 *   @Get('ready')
 *   @HealthCheck()
 *   ready() {
 *     return this.health.check([() => this.vault.checkReadiness('vault')]);
 *   }
 * }
 *
 * @publicApi
 */
@Injectable()
export class VaultHealthIndicator {
  readonly #modules: ModulesContainer;
  readonly #health: HealthIndicatorService;
  /** Since when a probe has seen that the login of a connection is refused; monotonic milliseconds. */
  readonly #refusedSince = new WeakMap<VaultConnection, number>();

  /** @internal */
  constructor(
    @Inject(ModulesContainer) modules: ModulesContainer,
    @Inject(HealthIndicatorService) health: HealthIndicatorService,
  ) {
    this.#modules = modules;
    this.#health = health;
  }

  /**
   * For the startup probe: `down` until each connection has logged in and has everything that the application requested of
   * it. By default Nest listens only then, and no probe gets an answer before. With `startup.login: 'deferred'`, a
   * connection that nothing has used yet is `up`.
   *
   * @param key name of the result in the answer
   */
  checkStartup<Key extends string>(key: Key, options: VaultStartupOptions = {}): HealthIndicatorResult<Key> {
    assertOptions('checkStartup', options, STARTUP);
    return this.#check(key, options, (connection) =>
      startupOf(connection.status, connection.clock.wall(), options),
    );
  }

  /**
   * For the readiness probe: `down` while the token, a credential or a watched secret is missing or has expired, while the
   * server of a pool rejects its users, and from the begin of the shutdown on. An outage of the server that the credentials
   * outlive is `degraded`, which is ready: as such with Terminus 12, as `up` with Terminus 11.
   *
   * @param key name of the result in the answer
   */
  checkReadiness<Key extends string>(
    key: Key,
    options: VaultReadinessOptions = {},
  ): HealthIndicatorResult<Key> {
    assertOptions('checkReadiness', options, READINESS);
    return this.#check(key, options, (connection) =>
      readinessOf(connection.status, connection.clock.wall(), options),
    );
  }

  /**
   * For the liveness probe: `up`. No outage and no expired credential is a reason for a restart, as the application gets
   * the next ones by itself. With `loginRefusedFor` it is `down` if only a restart can bring what a login needs.
   *
   * @param key name of the result in the answer
   */
  checkLiveness<Key extends string>(
    key: Key,
    options: VaultLivenessOptions = {},
  ): HealthIndicatorResult<Key> {
    assertOptions('checkLiveness', options, LIVENESS);
    const { loginRefusedFor = Infinity } = options;
    return this.#check(key, options, (connection) => this.#liveness(connection, loginRefusedFor), {
      state: 'up',
    });
  }

  #liveness(connection: VaultConnection, loginRefusedFor: number): VaultConnectionHealth {
    const error = loginRefusedFor === Infinity ? undefined : refusalOf(connection.status);
    if (!error) {
      this.#refusedSince.delete(connection);
      return { state: 'up' };
    }
    const now = connection.clock.monotonic();
    const since = this.#refusedSince.get(connection) ?? now;
    this.#refusedSince.set(connection, since);
    const down = now - since >= loginRefusedFor;
    return down ? { state: 'down', reason: 'login-refused', error } : { state: 'up' };
  }

  #check<Key extends string>(
    key: Key,
    { connection: name }: { connection?: string },
    healthOf: (connection: VaultConnection) => VaultConnectionHealth,
    starting = STARTING,
  ): HealthIndicatorResult<Key> {
    const named = [...Application.of(this.#modules).connections.named(name)];
    const connections = Object.fromEntries(
      named.map(([one, connection]) => [one, connection ? healthOf(connection) : starting]),
    );
    const states = Object.values(connections).map(({ state }) => state);
    const details: VaultHealthDetails & Record<string, unknown> = { connections };
    const result = this.#health.check(key);
    if (states.includes('down')) return result.down(details);
    // Terminus 11 has no such status.
    const degraded = states.includes('degraded') && (result as Partial<typeof result>).degraded;
    return degraded ? result.degraded(details) : result.up(details);
  }
}

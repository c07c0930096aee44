import { type DynamicModule, Global, Module } from '@nestjs/common';
import type { Clock } from '../clock/clock.js';
import { listed } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import { type Environment, ENVIRONMENT_TOKEN } from '../vault.environment.js';
import type { SimulatedVault } from './simulated-vault.js';
import { FailingClose } from './unhandled-requests.js';

/**
 * Options of {@link VaultTestingModule}.
 *
 * @publicApi
 */
export interface VaultTestingOptions {
  /** The server that all connections of the application talk to, whatever their address. */
  vault: SimulatedVault;
  /** The time of the application (default: the clock of `vault`). */
  clock?: Clock;
}

/**
 * Puts a simulated server and its clock in the place of network and time, in an application that is otherwise
 * unchanged: no server, no port, no sleep.
 *
 * `app.close()` rejects where the server was asked for something that it has no answer to since the application was
 * made: an `Error` that names method and path of each (`SimulatedVault.unhandledRequests`), once. It does so when all else is
 * closed, so import this module first. Where such requests are meant, call `vault.clearHistory()` before.
 *
 * @example
 * const app = await Test.createTestingModule({
 *   imports: [VaultTestingModule.forRoot({ vault }), AppModule],
 * }).compile();
 *
 * @publicApi
 */
@Global()
@Module({})
export class VaultTestingModule {
  /**
   * For the `imports` of a testing module, before the application's own.
   *
   * @throws VaultError `VAULT_CONFIG_INVALID`
   */
  static forRoot(options: VaultTestingOptions): DynamicModule {
    const { vault, clock = vault.clock } = checked(options);
    const useValue: Environment = { clock, transport: () => vault.transport() };
    return {
      module: VaultTestingModule,
      providers: [
        { provide: ENVIRONMENT_TOKEN, useValue },
        { provide: FailingClose, useFactory: () => new FailingClose(vault) },
      ],
      exports: [ENVIRONMENT_TOKEN],
    };
  }
}

function checked(options: VaultTestingOptions): VaultTestingOptions {
  const given: Partial<VaultTestingOptions> = (options as VaultTestingOptions | undefined) ?? {};
  const { vault, clock: _clock, ...unknown } = given;
  const problems = [
    ...(typeof vault?.transport === 'function' ? [] : ['`vault` must be a SimulatedVault']),
    ...(Object.keys(unknown).length > 0 ? [`there is no option ${listed(Object.keys(unknown), '`')}`] : []),
  ];
  if (problems.length === 0) return options;
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The options of VaultTestingModule.forRoot cannot be used: ${problems.join('; ')}.`,
    hint: 'Give VaultTestingModule.forRoot({ vault: new SimulatedVault({ clock: new VirtualClock() }) }).',
  });
}

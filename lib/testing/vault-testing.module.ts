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
  /** Server of all connections of the application, whatever their address. */
  vault: SimulatedVault;
  /** Clock of the application (default: the clock of `vault`). */
  clock?: Clock;
}

/** A `DynamicModule` of Nest, described without Nest: tests without it use the simulated server, too. */
interface SimulatedModule {
  module: typeof VaultTestingModule;
  global: true;
  providers: { provide: string; useFactory: () => unknown }[];
  exports: string[];
}

/**
 * Replaces network and time of an otherwise unchanged application by a simulated server and its clock: the test needs no
 * server, no port and no sleep.
 *
 * If the server got requests without an answer since the application was created (`SimulatedVault.unhandledRequests`),
 * `app.close()` rejects once with an `Error` that names method and path of each. Import this module first: it rejects
 * after everything else is closed. If such requests are intended, call `vault.clearHistory()` before.
 *
 * @example
 * const app = await Test.createTestingModule({
 *   imports: [VaultTestingModule.forRoot({ vault }), AppModule],
 * }).compile();
 *
 * @publicApi
 */
export class VaultTestingModule {
  /**
   * Module for the `imports` of a testing module, before the application's own modules.
   *
   * @throws VaultError `VAULT_CONFIG_INVALID`
   */
  static forRoot(options: VaultTestingOptions): SimulatedModule {
    const { vault, clock = vault.clock } = checked(options);
    const environment: Environment = { clock, transport: () => vault.transport() };
    return {
      module: VaultTestingModule,
      global: true,
      providers: [
        { provide: ENVIRONMENT_TOKEN, useFactory: () => environment },
        { provide: 'VAULT:FAILING_CLOSE', useFactory: () => new FailingClose(vault) },
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

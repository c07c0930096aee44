import { Global, Module, type DynamicModule } from '@nestjs/common';
import type { Clock } from '../clock/clock.js';
import { ENVIRONMENT_TOKEN, type Environment } from '../vault.environment.js';
import type { SimulatedVault } from './simulated-vault.js';
import { FailingClose } from './unexpected.js';

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
 * made: an `Error` that names method and path of each (`SimulatedVault.unexpected`), once. It does so when all else is
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
  /** For the `imports` of a testing module, before the application's own. */
  static forRoot({ vault, clock = vault.clock }: VaultTestingOptions): DynamicModule {
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

import type { ModuleMetadata } from '@nestjs/common';
import type { TestingModule, TestingModuleBuilder } from '@nestjs/testing';
import { appRole, VaultModule, type VaultModuleOptions } from 'nestjs-vault';
import { SimulatedVault, VaultTestingModule, VirtualClock } from 'nestjs-vault/testing';
import { Applications } from './applications.js';

/** Nest applications on one simulated server with a virtual clock. */
export class SimulatedApplication {
  readonly apps = new Applications();
  readonly clock = new VirtualClock();
  readonly vault = new SimulatedVault({ clock: this.clock });

  /** The imports of an application with `VaultModule`. */
  imports(options: Partial<VaultModuleOptions> = {}): NonNullable<ModuleMetadata['imports']> {
    const role = this.vault.appRole('application', { tokenTtl: '768h', ...this.#policies });
    const auth = appRole({ roleId: role.roleId, secretId: role.secretId() });
    return [
      VaultTestingModule.forRoot({ vault: this.vault }),
      VaultModule.forRoot({ address: 'http://vault.test', auth, ...options }),
    ];
  }

  #policies: { policies?: string[] } = {};

  /** The policy of applications from now on, instead of one that allows everything. */
  allowOnly(paths: Record<string, readonly ('read' | 'update')[]>): void {
    this.vault.policy('only', paths);
    this.#policies = { policies: ['only'] };
  }

  async start(
    metadata: ModuleMetadata,
    customise?: (builder: TestingModuleBuilder) => TestingModuleBuilder,
    options?: Partial<VaultModuleOptions>,
  ): Promise<TestingModule> {
    const imports = [...this.imports(options), ...(metadata.imports ?? [])];
    const app = await this.apps.start({ ...metadata, imports }, customise);
    await this.clock.settle();
    return app;
  }

  startError(metadata: ModuleMetadata): Promise<Error> {
    const imports = [...this.imports(), ...(metadata.imports ?? [])];
    return this.apps.startError({ ...metadata, imports });
  }

  /** Requests for secrets, without the login's, sorted. */
  get reads(): string[] {
    const lines = this.vault.history.map(({ method, path }) => `${method} ${path}`);
    return lines.filter((line) => !/\/auth\//.test(line)).sort();
  }
}

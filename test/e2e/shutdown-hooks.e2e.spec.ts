import { appRole, VaultModule } from 'nestjs-vault';
import { SimulatedVault, VaultTestingModule } from 'nestjs-vault/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Applications } from '../support/applications.js';

const PROCESS_END = Symbol.for('nestjs-vault.process-end');

describe('an application that does not listen to SIGTERM', () => {
  let apps: Applications;
  let vault: SimulatedVault;
  let listeners: NodeJS.SignalsListener[];
  let before: unknown;

  beforeEach(() => {
    apps = new Applications();
    vault = new SimulatedVault();
    // The listeners of the test runner would hide that the application has none.
    listeners = process.listeners('SIGTERM') as NodeJS.SignalsListener[];
    process.removeAllListeners('SIGTERM');
    // Another file of this worker may have left a failed start, which the package ends at a signal: no reason to warn.
    before = Reflect.get(globalThis, PROCESS_END);
    Reflect.deleteProperty(globalThis, PROCESS_END);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });

  afterEach(async () => {
    vi.useRealTimers();
    process.removeAllListeners('SIGTERM');
    for (const listener of listeners) process.on('SIGTERM', listener);
    await apps.finish();
    Reflect.set(globalThis, PROCESS_END, before);
    await vault.close();
  });

  const vaultModule = async () => {
    const { roleId, secretId } = vault.appRole('app');
    return VaultModule.forRoot({
      address: await vault.listen(),
      auth: appRole({ roleId, secretId: secretId() }),
    });
  };
  const warnings = () => apps.log.split('\n').filter((line) => line.includes('enableShutdownHooks'));

  it('is warned once, a second after the start', async () => {
    await apps.start({ imports: [await vaultModule()] });
    expect(warnings()).toEqual([]);
    vi.advanceTimersByTime(1_000);
    expect(warnings()).toHaveLength(1);
    vi.advanceTimersByTime(60_000);
    expect(warnings()).toEqual([expect.stringContaining('"code":"no-signal-listener"')]);
  });

  it('is not warned if it calls enableShutdownHooks, also after the start', async () => {
    const app = await apps.start({ imports: [await vaultModule()] });
    app.enableShutdownHooks();
    vi.advanceTimersByTime(60_000);
    expect(warnings()).toEqual([]);
  });

  it('is not warned under VaultTestingModule, nor if it is closed before', async () => {
    await apps.start({ imports: [VaultTestingModule.forRoot({ vault }), await vaultModule()] });
    const app = await apps.start({ imports: [await vaultModule()] });
    await app.close();
    vi.advanceTimersByTime(60_000);
    expect(warnings()).toEqual([]);
  });
});

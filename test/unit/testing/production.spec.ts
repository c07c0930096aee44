import { SimulatedVault } from 'nestjs-vault/testing';
import { afterEach, expect, it, vi } from 'vitest';

afterEach(() => vi.unstubAllEnvs());

it('a simulated server warns in production, once', () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  new SimulatedVault();
  expect(warn).not.toHaveBeenCalled();
  vi.stubEnv('NODE_ENV', 'production');
  for (let count = 0; count < 3; count++) new SimulatedVault();
  expect(warn.mock.calls).toMatchObject([
    [expect.stringContaining('for tests'), { code: 'NESTJS_VAULT_SIMULATED' }],
  ]);
});

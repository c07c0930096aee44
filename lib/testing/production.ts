let warned = false;

/** Emits one warning per process if a simulated server runs in production, where it protects no secret. */
export function warnInProduction(): void {
  if (warned || process.env['NODE_ENV'] !== 'production') return;
  warned = true;
  process.emitWarning(
    'SimulatedVault is a server for tests, and NODE_ENV is "production": it keeps everything in memory and protects nothing. ' +
      'Import nestjs-vault/testing in tests only.',
    { type: 'VaultWarning', code: 'NESTJS_VAULT_SIMULATED' },
  );
}

let warned = false;

/** One warning for each process that has a simulated server in production: it keeps no secret. */
export function warnInProduction(): void {
  if (warned || process.env['NODE_ENV'] !== 'production') return;
  warned = true;
  process.emitWarning(
    'SimulatedVault is a server for tests, and NODE_ENV is "production": it holds all in memory and protects nothing. ' +
      'Import nestjs-vault/testing in tests alone.',
    { type: 'VaultWarning', code: 'NESTJS_VAULT_SIMULATED' },
  );
}

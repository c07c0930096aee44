import type { LoggerService } from '@nestjs/common';
import type { VaultConnection } from './connection/vault-connection.js';
import { printable } from './errors/printable.js';

/** Milliseconds: hooks of jest are given up after 5 s. */
const SLOW = 3_000;
/** What test runners set: jest, vitest, node:test. */
const RUNNERS = ['JEST_WORKER_ID', 'VITEST_WORKER_ID', 'NODE_TEST_CONTEXT'];
const FORGOTTEN =
  'In a test, import VaultTestingModule of nestjs-vault/testing before the application, or set `startup.login: ' +
  "'deferred'` and override what is injected (getCredentialsToken, getSecretToken).";
const SIMULATED =
  'The server is simulated, and time passes only where the test moves its clock: clock.until(app.init()).';
/** Taken when this file is loaded: fake timers stand still. */
const realTimeout = setTimeout;

/**
 * A start that waits for the server, in a test that forgot to replace it, would end with the word of the test runner that
 * a hook took too long. So the log says before what is waited for: as an error, as Nest's testing module shows no others.
 *
 * @param simulated the server is replaced already
 * @returns what to call when the start is over
 */
export function logSlowStart(
  connection: VaultConnection,
  logger: LoggerService,
  simulated: boolean,
): () => void {
  if (process.env['NODE_ENV'] !== 'test' && RUNNERS.every((name) => process.env[name] === undefined))
    return () => undefined;
  const timer = realTimeout(() => {
    const text =
      `[${connection.name}] The application has not started, as it waits for the Vault server: ${connection.waitsFor} ` +
      (simulated ? SIMULATED : FORGOTTEN);
    logger.error(printable(text));
  }, SLOW);
  timer.unref();
  return () => clearTimeout(timer);
}

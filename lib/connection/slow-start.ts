import { realTimeout } from '../clock/clock.js';
import { VaultLogLine } from '../events/log-line.js';
import { write, type VaultLogger } from '../events/logger.js';
import type { VaultConnection } from './vault-connection.js';

/** Milliseconds: jest aborts hooks after 5 s. */
const SLOW = 3_000;
/** Variables that test runners set: jest, vitest, node:test. */
const RUNNERS = ['JEST_WORKER_ID', 'VITEST_WORKER_ID', 'NODE_TEST_CONTEXT'];
const FORGOTTEN =
  'In a test, import VaultTestingModule of nestjs-vault/testing before the application, or set `startup.login: ' +
  "'deferred'` and override the injected tokens (getCredentialsToken, getSecretToken).";
const SIMULATED =
  'The server is simulated, and time passes only when the test advances its clock: ' +
  'clock.until(Test.createTestingModule(…).compile()), or clock.until(app.init()) if that waits.';

/**
 * If a test forgets to replace the server, its start waits, and the test runner only reports that a hook took too long.
 * So this function logs the reason before that: as an error, as Nest's testing module shows no other levels.
 *
 * @param simulated whether the test has replaced the server
 * @param timeout not that of fake timers, which stand still
 * @returns a function to call at the end of the start
 */
export function logSlowStart(
  connection: VaultConnection,
  logger: VaultLogger,
  simulated: boolean,
  timeout: typeof realTimeout = realTimeout,
): () => void {
  if (process.env['NODE_ENV'] !== 'test' && RUNNERS.every((name) => process.env[name] === undefined))
    return () => undefined;
  const timer = timeout(() => {
    const text =
      `The application has not started yet: ${connection.waitsFor} ` + (simulated ? SIMULATED : FORGOTTEN);
    write(logger, new VaultLogLine('start-slow', text, { connection: connection.name }));
  }, SLOW);
  timer.unref();
  return () => clearTimeout(timer);
}

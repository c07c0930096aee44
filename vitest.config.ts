import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import LongestFirst from './test/support/longest-first.js';
import { mutation } from './test/support/mutation.js';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Other databases than PostgreSQL need servers of their own (npm run test:drivers, npm run test:leaks), and chaos and auth
// methods on real servers take minutes (npm run test:chaos, npm run test:auth).
const SPECIAL = {
  VAULT_TEST_DRIVERS: 'drivers',
  VAULT_TEST_LEAKS: 'leaks',
  VAULT_TEST_CHAOS: 'chaos',
  VAULT_TEST_AUTH: 'auth/real',
  VAULT_TEST_DEPLOYMENTS: 'deployments',
};
const special = Object.entries(SPECIAL).find(([variable]) => process.env[variable])?.[1] ?? '';
/** Further files of such a run, as `npm run test:matrix` has them. */
const further = process.env['VAULT_TEST_WITH']?.split(',') ?? [];

export default defineConfig({
  plugins: mutation(),
  resolve: {
    alias: [
      { find: /^nestjs-vault$/, replacement: source('./lib/index.ts') },
      { find: /^nestjs-vault\/core$/, replacement: source('./lib/core.ts') },
      { find: /^nestjs-vault\/terminus$/, replacement: source('./lib/health/index.ts') },
      { find: /^nestjs-vault\/dashboard$/, replacement: source('./lib/dashboard/index.ts') },
      { find: /^nestjs-vault\/testing$/, replacement: source('./lib/testing/index.ts') },
      { find: /^nestjs-vault\/opentelemetry$/, replacement: source('./lib/telemetry/index.ts') },
      { find: /^nestjs-vault\/([\w-]+)$/, replacement: source('./lib/integrations/$1/index.ts') },
    ],
  },
  test: {
    include: special ? [`test/${special}/**/*.spec.ts`, ...further] : ['test/**/*.spec.ts'],
    exclude: special ? [] : Object.values(SPECIAL).map((folder) => `test/${folder}/**`),
    setupFiles: ['./test/support/setup.ts'],
    // A server looks for passwords to rotate each 5 s only, so that a period of 5 s can take 10.
    testTimeout: special ? 60_000 : 20_000,
    // Real servers with TTLs of seconds, on a machine that others use: what fails once and then holds is told as such.
    retry: process.env['CI'] ? 1 : 0,
    // Concurrent tests mostly wait.
    maxConcurrency: 50,
    hookTimeout: 60_000,
    pool: 'forks',
    // Each file would load Nest and the drivers anew, a third of all the time. So a test leaves nothing behind: no fake
    // timers, listeners or variables.
    isolate: special === 'leaks' || special === 'chaos',
    // Most files wait for servers and TTLs rather than compute, so more of them run than there are cores.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    reporters: [
      'default',
      './test/support/count-reporter.ts',
      './test/conformance/table-reporter.ts',
      './test/chaos/table-reporter.ts',
      './test/drivers/contract/table-reporter.ts',
      './test/auth/table-reporter.ts',
    ],
  },
});

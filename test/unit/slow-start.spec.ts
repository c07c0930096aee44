import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { VaultConnection } from '../../lib/connection/vault-connection.js';
import type { VaultLogLine } from '../../lib/events/log-line.js';
import { logSlowStart } from '../../lib/connection/slow-start.js';

const lines: string[] = [];
const logger = {
  log() {},
  warn() {},
  error: ({ code, message }: VaultLogLine) => void lines.push(`${code} ${message}`),
};
const connection = { name: 'default', waitsFor: 'no answer of https://v:8200 yet.' } as VaultConnection;

beforeAll(() => void vi.useFakeTimers());
afterAll(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});
beforeEach(() => void lines.splice(0));

it.each([
  [
    false,
    /^start-slow .default. The application has not started.*no answer of https:.*import VaultTestingModule/,
  ],
  [
    true,
    /no answer of.*clock.until\(Test.createTestingModule\(…\).compile\(\)\), or clock.until\(app.init\(\)\)/,
  ],
])(
  'before a hook of jest times out, the log gives the reason why a start waits (simulated: %s)',
  (simulated, message) => {
    logSlowStart(connection, logger, simulated, setTimeout);
    vi.advanceTimersByTime(4_000);
    expect(lines).toEqual([expect.stringMatching(message)]);
  },
);

it('logs nothing after the start, or outside of tests', () => {
  logSlowStart(connection, logger, false, setTimeout)();
  for (const name of ['NODE_ENV', 'JEST_WORKER_ID', 'VITEST_WORKER_ID', 'NODE_TEST_CONTEXT'])
    vi.stubEnv(name, undefined);
  logSlowStart(connection, logger, false, setTimeout);
  vi.advanceTimersByTime(60_000);
  expect(lines).toEqual([]);
});

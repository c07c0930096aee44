import { describe, expect, it } from 'vitest';
import type { EventInit, VaultEvent } from '../../lib/events/events.js';
import { levelOf } from '../../lib/events/log-line.js';
import { LOG_LINES, type VaultLogCode } from '../../lib/events/log-lines.js';
import { LogPolicy } from '../../lib/events/log-policy.js';
import { failureAt } from '../support/log-lines.js';
import { filesBelow, read } from '../support/pages.mjs';

const PAGE = read('docs/log-lines.md');

/** The rows of the page: code, level, line and meaning. */
const rows = [...PAGE.matchAll(/^\| `([\w-]+)` +\| `(\w+)` +\| (.+?) +\| (.+?) +\|$/gm)].map(
  ([, code = '', level = '', line = '', meaning = '']) => ({ code, level, line, meaning }),
);

/** The lines that the events of a connection make, one event of each kind. */
function linesOfEvents() {
  const at = new Date('2026-11-30T18:00:00Z');
  const next = { action: 'renew', at: new Date('2026-11-30T18:40:00Z'), reason: 'renewal' } as const;
  const life = { validUntil: new Date('2026-11-30T19:00:00Z'), next };
  const renewal = { ...life, ttl: 3_600_000, previousTtl: 3_600_000, capped: false };
  const lease = { path: 'database/creds/orders', serial: 1 };
  const secret = { path: 'secret/data/orders' };
  const failure = (path: string, code = 'VAULT_TIMEOUT' as const) => ({
    error: failureAt(code, path),
    retryAt: at,
    attempt: 1,
  });
  const error = failureAt('VAULT_SEALED', 'sys/leases/renew', 503);
  const pool = { ...lease, serial: 2, type: 'pool-warning', pool: 'pg' } as const;
  const events: EventInit[] = [
    { type: 'login', sequence: 1, reason: 'start', ...life },
    { type: 'login-failed', sequence: 1, ...failure('auth/approle/login') },
    { type: 'token-renewed', sequence: 1, ...renewal },
    { type: 'token-renewal-failed', sequence: 1, ...failure('token/renew-self') },
    { type: 'notice', message: 'Logs in with kubernetes, method 2 of firstAvailable. aws: no credentials.' },
    { ...lease, type: 'issued', renewable: true, ...life },
    { ...lease, type: 'renewal-failed', ...failure('sys/leases/renew'), validUntil: at },
    { ...lease, type: 'renewed', ...renewal },
    { ...lease, type: 'rotation-failed', reason: 'max-ttl', ...failure(lease.path) },
    { ...lease, serial: 2, type: 'rotated', reason: 'max-ttl', ...life },
    { ...lease, type: 'drained' },
    { ...lease, type: 'retired', how: 'asked' },
    { ...lease, type: 'expired', error },
    { type: 'released', path: lease.path },
    { ...secret, type: 'secret-changed', version: 3 },
    { ...secret, type: 'secret-read-failed', ...failure(secret.path) },
    { ...secret, type: 'secret-recovered', version: 3 },
    { ...secret, type: 'secret-gone', error },
    { ...secret, type: 'secret-invalid', error },
    { type: 'vault-unreachable', error },
    { type: 'vault-recovered', after: 12_300 },
    { type: 'tls-reloaded', files: ['ca.pem'] },
    {
      ...pool,
      reason: 'verification-failed',
      message: 'Cannot log in with database/creds/orders #2: ECONNREFUSED. Open',
    },
    { ...pool, reason: 'refused', message: 'The login with database/creds/orders #2 was rejected; new' },
    { ...pool, reason: 'drain-timeout', message: 'Closed 1 connection(s) of x that were still in use at' },
    {
      ...pool,
      reason: 'warning',
      message: 'x #1: The user of this lease owns 1 table, so DROP ROLE alone fails',
    },
    { type: 'closing' },
    { type: 'token-ended', sequence: 1, how: 'revoke-requested' },
    { type: 'token-ended', sequence: 1, how: 'revoke-failed' },
    { type: 'closed' },
  ];
  const policy = new LogPolicy();
  return events.flatMap((event) => policy.lines({ ...event, connection: 'default', at } as VaultEvent));
}

/**
 * A test of the code that logs each line that no event makes by its type: the test names the code, and asserts a text.
 */
const LOGGED_BY: Partial<Record<VaultLogCode, string>> = {
  'auth-method-warning': 'test/unit/auth/own-method.spec.ts',
  'configuration-defaults': 'test/e2e/configuration.e2e.spec.ts',
  'configuration-kept': 'test/e2e/configuration.e2e.spec.ts',
  'configuration-too-late': 'test/e2e/configuration.e2e.spec.ts',
  'drain-too-long': 'test/conformance/consumer-stories.spec.ts',
  'engine-failed': 'test/unit/engines/own-engine.spec.ts',
  'folder-entry-skipped': 'test/unit/engines/kv/folder-watch.spec.ts',
  'issue-limit': 'test/conformance/rules/service.ts',
  'lease-cut-short': 'test/conformance/rules/live.ts',
  'login-input-kept': 'test/unit/secret/secret-source.spec.ts',
  'login-input-not-deleted': 'test/integration/auth.spec.ts',
  'no-signal-listener': 'test/e2e/shutdown-hooks.e2e.spec.ts',
  'not-encrypted': 'test/unit/client/clear-text.spec.ts',
  'renewal-denied': 'test/conformance/rules/errors.ts',
  'rotation-method-failed': 'test/e2e/on-rotation.e2e.spec.ts',
  'rotation-method-late': 'test/e2e/on-rotation.e2e.spec.ts',
  'rotation-method-scoped': 'test/e2e/on-rotation.e2e.spec.ts',
  'rotation-method-unread': 'test/e2e/on-rotation.e2e.spec.ts',
  'server-warning': 'test/conformance/rules/time.ts',
  'several-agents': 'test/unit/auth/vault-agent.spec.ts',
  'simulated-server': 'test/unit/services/connect-vault.spec.ts',
  'start-slow': 'test/unit/slow-start.spec.ts',
  'tls-files-ignored': 'test/integration/tls-reload.spec.ts',
};

it('the page has each line, with its level, a meaning and what to do', () => {
  expect(Object.fromEntries(rows.map(({ code, level }) => [code, level]))).toEqual(LOG_LINES);
  expect(rows).toHaveLength(Object.keys(LOG_LINES).length);
  expect(rows.filter(({ meaning }) => meaning.length < 6)).toEqual([]);
});

it('no other code is in the sources', () => {
  const used = filesBelow('lib', /\.ts$/).flatMap((file) =>
    [...read(file).matchAll(/new VaultLogLine\(\s*'([\w-]+)'|\bwarn\(\s*'([\w-]+)'/g)].map(
      ([, one, other]) => one ?? other,
    ),
  );
  expect(used.length).toBeGreaterThan(8);
  expect(used.filter((code) => !(code! in LOG_LINES))).toEqual([]);
});

it('each code is that of a line in a test', () => {
  const byEvents = linesOfEvents().map(({ code }) => code);
  expect([...new Set([...byEvents, ...Object.keys(LOGGED_BY)])].sort()).toEqual(
    Object.keys(LOG_LINES).sort(),
  );
  for (const [code, file] of Object.entries(LOGGED_BY)) expect(read(file), file).toContain(code);
});

describe('the lines that the page quotes', () => {
  const quoted = new Map(rows.map(({ code, line }) => [code, line.replaceAll('`', '')]));

  it.each(linesOfEvents().map((line) => [line.code, line] as const))('%s', (code, line) => {
    const pattern = (quoted.get(code) ?? '')
      .split(/…|<error>/)
      .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
      .join('.*');
    expect(line.message).toMatch(new RegExp(`^\\[default\\] ${pattern}`));
    expect(levelOf(line)).toBe(LOG_LINES[code]);
  });

  /** The texts of the sources, without the breaks of long lines, and with a gap for each inserted value. */
  const sources = filesBelow('lib', /\.ts$/)
    .map(read)
    .join('\n')
    .replaceAll(/['"`] \+\s+['"`]/g, '')
    .replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…');
  /** The fixed parts of a quoted line: no names, numbers or gaps. */
  const fixedParts = (line: string) =>
    line
      .split(/…|<\w+>|\(.*?\)|\d[\d.]*|[:;]|\.$/)
      .map((part) => part.trim())
      .filter((part) => part.length > 3);

  it.each(Object.keys(LOGGED_BY))('%s', (code) => {
    const line = quoted.get(code) ?? '';
    if (line !== 'any text') expect(fixedParts(line).length).toBeGreaterThan(0);
    for (const part of line === 'any text' ? [] : fixedParts(line)) expect(sources).toContain(part);
  });
});

import { Subject } from 'rxjs';
import { expect, it } from 'vitest';
import { unexpected } from '../../../lib/errors/common-errors.js';
import { classOf, listed, printable } from '../../../lib/errors/printable.js';
import { VaultError } from '../../../lib/errors/vault-error.js';
import type { VaultEvent } from '../../../lib/events/events.js';
import { logEvents } from '../../../lib/events/log-events.js';
import type { VaultLogLine } from '../../../lib/events/log-line.js';
import { printed } from '../../support/leaks.js';

const FORGED = 'app\r\n[Nest] 1 - LOG [Auth] admin logged in \u001b[2J\u009b1A\u2028\u202egnp';
const HUGE = 'x'.repeat(3_000_000);

function expectFit(text: string): void {
  expect(text.length).toBeLessThan(20_000);
  // oxlint-disable-next-line no-control-regex
  expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/);
}

it('keeps a plain text unchanged', () => {
  for (const text of ['', 'database/creds/app', 'Schlüssel 🔑 "a" <b>', 'x'.repeat(8_192)])
    expect(printable(text)).toBe(text);
});

it('makes one line of any text, bounded', () => {
  expect(printable(FORGED)).toBe('app [Nest] 1 - LOG [Auth] admin logged in  [2J 1A gnp');
  expect(printable(HUGE)).toBe(`${'x'.repeat(8_192)}…`);
});

it('names the first of many', () => {
  expect(listed(['a', 'b'])).toBe('a, b');
  expect(listed([FORGED, HUGE], '`').length).toBeLessThan(200);
  const many = listed(Array.from({ length: 100_000 }, (_, index) => `key${index}`));
  expect(many).toMatch(/^key0, key1, .* and 99980 more$/);
  expect(many.length).toBeLessThan(2_000);
});

it.each([FORGED, HUGE])('no part of an error has a line break or unlimited length', (text) => {
  const error = new VaultError({ code: 'VAULT_SEALED', message: text, hint: text, path: text });
  for (const part of [error.message, error.hint, error.path ?? '']) expectFit(part);
  expect(error.message).toContain('[VAULT_SEALED]');
  expect(JSON.stringify(error).length).toBeLessThan(40_000);
});

it.each<[string, unknown]>([
  ['a name with line breaks', Object.assign(new Error('x'), { name: FORGED })],
  ['a very long name', Object.assign(new Error('x'), { name: HUGE })],
  ['a name that is not a string', Object.assign(new Error('x'), { name: { toString: 1 } })],
  ['a symbol', Symbol('x')],
])('a foreign error with %s is named by a plain word', (_what, thrown) => {
  expectFit(unexpected(thrown, 'It').message);
  expect(classOf(thrown).length).toBeLessThan(70);
});

it('each event makes one line of the log', () => {
  const lines: VaultLogLine[] = [];
  const log = (line: VaultLogLine) => lines.push(line);
  const events$ = new Subject<VaultEvent>();
  logEvents(events$, { log, error: log, warn: log, debug: log });
  const common = { connection: `c${FORGED}`, at: new Date(0), path: FORGED, serial: 1 };
  const error = new VaultError({ code: 'VAULT_SEALED', message: FORGED, hint: HUGE });
  events$.next({ ...common, type: 'warning', code: 'server-warning', message: `${FORGED}${HUGE}` });
  events$.next({ ...common, type: 'expired', error });
  events$.next({ ...common, type: 'secret-gone', error });
  events$.next({ ...common, type: 'secret-read-failed', error, retryAt: new Date(0), attempt: 1 });
  events$.next({ ...common, type: 'drained' });
  expect(lines).toHaveLength(5);
  for (const member of lines.flatMap((line) => Object.values(line))) expectFit(String(member));
  expect(printed(error).length).toBeLessThan(300_000);
});

import { format, inspect } from 'node:util';
import { expect } from 'vitest';
import { VaultError } from '../../lib/errors/vault-error.js';

/** Every text that a log, a crash report or an error tracker could make of a value. */
export function printed(value: unknown): string {
  const parts = [
    String(value),
    inspect(value, { depth: 10, showHidden: true, getters: true }),
    format('%s %o %O %j', value, value, value, value),
    JSON.stringify(value) ?? '',
  ];
  if (value instanceof Error) {
    const names = Object.getOwnPropertyNames(value);
    parts.push(value.message, value.stack ?? '', JSON.stringify(value, names), printed(value.cause));
    if (value instanceof VaultError) parts.push(value.hint, ...(value.errors ?? []).map(printed));
  }
  return parts.join('\n');
}

/** Fails if a printed form of a value contains one of the secrets, plain or encoded. */
export function expectNoLeak(value: unknown, secrets: Iterable<string>): void {
  const text = printed(value);
  for (const secret of secrets) {
    expect(secret.length, 'a canary that would be found by chance').toBeGreaterThan(7);
    const found = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)].some((form) =>
      text.includes(form),
    );
    // The report of a failure does not contain the text either.
    expect(found, 'a secret is printed').toBe(false);
  }
}

/** Resolves with the error of a rejected promise, which must be a {@link VaultError}. */
export async function failureOf(work: Promise<unknown>): Promise<VaultError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof VaultError)) throw new Error(`expected a VaultError, got ${inspect(error)}`);
  return error;
}

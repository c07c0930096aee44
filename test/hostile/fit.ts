import { inspect } from 'node:util';
import { VaultError } from '../../lib/errors/vault-error.js';
import { CANARY } from './answers.js';
import { SECRET_ID, TOKEN } from './server.js';

const SECRETS = [CANARY, TOKEN, SECRET_ID];
/** An error: two parts of 8 KB each and their code. */
const LONGEST = 17_000;

/** A {@link VaultError}, of bounded length and on one line. */
export function expectFit(error: unknown): asserts error is VaultError {
  if (!(error instanceof VaultError)) throw new Error(`no VaultError: ${inspect(error)}`, { cause: error });
  for (const text of [error.message, error.hint, error.path ?? '']) {
    if (text.length > LONGEST) throw new Error(`a text of ${text.length} characters`);
    // oxlint-disable-next-line no-control-regex
    if (/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/.test(text)) throw new Error('a control character');
  }
  // With its message, its stack and all members.
  expectHidden(error);
}

/** No printer shows a secret. */
export function expectHidden(value: unknown, shows = false): void {
  if (shows) return;
  const printed = `${JSON.stringify(value)}${inspect(value, { depth: 8, maxStringLength: 50_000 })}`;
  for (const secret of SECRETS) if (printed.includes(secret)) throw new Error(`${secret} is printed`);
}

import { inspect } from 'node:util';
import { expect, it, vi } from 'vitest';
import { isTransient, VaultError, type VaultErrorCode } from '../../../lib/errors/vault-error.js';

const init = { code: 'VAULT_SEALED', message: 'The server is sealed.', hint: 'Unseal it.' } as const;

it('has text, code and hint, also in the message', () => {
  const error = new VaultError({ ...init, status: 503, path: 'secret/data/x', retryAfter: 7000 });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ ...init, message: expect.anything() as string, name: 'VaultError' });
  expect(error.message).toBe('The server is sealed. [VAULT_SEALED] Unseal it.');
  expect(error).toMatchObject({ status: 503, path: 'secret/data/x', retryAfter: 7000 });
  expect(inspect(error)).toContain('VAULT_SEALED');
  expect(error.stack).toContain('vault-error.spec.ts');
});

it('has no property for unknown values', () => {
  const error = new VaultError(init);
  for (const name of ['status', 'path', 'retryAfter', 'errors', 'cause'])
    expect(error).not.toHaveProperty(name);
});

it('has its cause, and the errors that it combines', () => {
  const cause = new VaultError(init);
  const error = new VaultError({ ...init, code: 'VAULT_STARTUP_FAILED', cause, errors: [cause, cause] });
  expect(error.cause).toBe(cause);
  expect(error.errors).toEqual([cause, cause]);
});

it('is an instance of the class of every copy of the package, and nothing else is', async () => {
  vi.resetModules();
  const other = await import('../../../lib/errors/vault-error.js');
  expect(other.VaultError).not.toBe(VaultError);
  expect(new other.VaultError(init)).toBeInstanceOf(VaultError);
  expect(new VaultError(init)).toBeInstanceOf(other.VaultError);
  for (const no of [undefined, null, 'VaultError', new Error('VAULT_SEALED'), { ...init }]) {
    expect(no instanceof VaultError).toBe(false);
  }
});

// Every code once; the compiler reports a missing one.
const TRANSIENT: Record<VaultErrorCode, boolean> = {
  VAULT_LOGIN_PROVIDER_UNAVAILABLE: true,
  VAULT_SEALED: true,
  VAULT_STANDBY: true,
  VAULT_RATE_LIMITED: true,
  VAULT_UNREACHABLE: true,
  VAULT_TIMEOUT: true,
  VAULT_NOT_VAULT: true,
  VAULT_RESPONSE_INVALID: true,
  VAULT_BACKEND_FAILED: true,
  VAULT_SERVER_ERROR: true,
  VAULT_CONFIG_INVALID: false,
  VAULT_PATH_INVALID: false,
  VAULT_SOURCE_UNREADABLE: false,
  VAULT_CONNECTION_UNKNOWN: false,
  VAULT_DRIVER_TOO_OLD: false,
  VAULT_EXTENSION_INVALID: false,
  VAULT_LOGIN_INPUT_INVALID: false,
  VAULT_LOGIN_LOCKED_OUT: false,
  VAULT_LOGIN_DENIED: false,
  VAULT_LOGIN_MFA_REQUIRED: false,
  VAULT_WRAPPING_TOKEN_INVALID: false,
  VAULT_WRAPPING_PATH_MISMATCH: false,
  VAULT_TOKEN_INVALID: false,
  VAULT_PERMISSION_DENIED: false,
  VAULT_NAMESPACE_NOT_FOUND: false,
  VAULT_MOUNT_NOT_FOUND: false,
  VAULT_ROLE_NOT_FOUND: false,
  VAULT_SECRET_NOT_FOUND: false,
  VAULT_SECRET_DELETED: false,
  VAULT_SECRET_DESTROYED: false,
  VAULT_SECRET_KEY_MISSING: false,
  VAULT_SECRET_INVALID: false,
  VAULT_LEASE_NOT_FOUND: false,
  VAULT_LEASE_AT_MAX_TTL: false,
  VAULT_LEASE_NOT_RENEWABLE: false,
  VAULT_CREDENTIALS_EXPIRED: false,
  VAULT_CREDENTIALS_REJECTED: false,
  VAULT_ROTATION_OVERDUE: true,
  VAULT_TLS_UNTRUSTED: false,
  VAULT_PROXY_REFUSED: false,
  VAULT_RESPONSE_TOO_LARGE: false,
  VAULT_REQUEST_INVALID: false,
  VAULT_CAS_CONFLICT: false,
  VAULT_STARTUP_FAILED: false,
  VAULT_CLOSED: false,
};

it.each(Object.entries(TRANSIENT))('%s is temporary: %s', (code, expected) => {
  expect(isTransient(new VaultError({ ...init, code: code as VaultErrorCode }))).toBe(expected);
});

import { isSecret } from '../secret/secret.js';
import type { SecretSource } from '../secret/secret-source.js';

/** Whether a value can be a {@link SecretSource} at all; whether there is a secret in it shows at login. */
export function isSource(value: unknown): value is SecretSource {
  if (typeof value === 'string') return value.trim() !== '';
  if (typeof value === 'function' || isSecret(value)) return true;
  return (
    typeof value === 'object' && value !== null && typeof (value as { read?: unknown }).read === 'function'
  );
}

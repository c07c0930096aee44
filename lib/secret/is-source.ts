import type { SecretReader, SecretSource } from './secret-source.js';
import { isSecret } from './secret.js';

/** Whether a value can be a {@link SecretSource}; the login shows whether it has a secret. */
export function isSource(value: unknown): value is SecretSource {
  if (typeof value === 'string') return value.trim() !== '';
  if (value instanceof Uint8Array) return value.length > 0;
  if (typeof value === 'function' || isSecret(value)) return true;
  return (
    typeof value === 'object' && value !== null && typeof (value as { read?: unknown }).read === 'function'
  );
}

/** The problems of a source's options. */
export function problemsOf(source: unknown): readonly string[] {
  const { problems } = (source ?? {}) as Partial<SecretReader>;
  return Array.isArray(problems) ? problems : [];
}

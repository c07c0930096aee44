/** Describes a value without showing it: it may be a secret in the wrong place. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (value === '') return 'an empty string';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array';
  if (value instanceof URL) return 'a URL object';
  if (value instanceof Uint8Array) return value.length === 0 ? 'an empty Buffer' : 'a Buffer';
  if (value instanceof Promise) return 'a promise';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? 'a string' : `a ${typeof value}`;
}

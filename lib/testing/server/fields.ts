/** Reads a field of a body as a text. */
export const text = (value: unknown): string =>
  typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';

/** Reads a field of a body as a list: an array, or a text with commas. */
export function list(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return text(value)
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean);
}

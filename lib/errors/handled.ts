/**
 * Returns a value of the application's code. If it is a promise where none is expected, its rejection is handled: Node
 * would end the process otherwise.
 */
export function handled<T>(value: T): T {
  if (value instanceof Promise) value.catch(() => undefined);
  return value;
}

import { inspect } from 'node:util';

/**
 * An object with a readable property that no printer finds: it is not an own property, and `inspect` reads the target
 * of a proxy without calling its traps.
 */
export function withHidden<T extends object>(owner: T, name: string, read: () => unknown): T {
  return new Proxy(owner, {
    get: (target, key, receiver) => (key === name ? read() : (Reflect.get(target, key, receiver) as unknown)),
  });
}

/**
 * Adds properties to an object of a driver. They are not enumerable, and `inspect.custom` returns the object without
 * them, even with `showHidden`; so only a printer that ignores `inspect.custom` and shows hidden properties
 * (`console.dir` with `showHidden`) finds them.
 */
export function hide(owner: object, properties: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(properties)) define(owner, name, value);
  const prototype = Object.getPrototypeOf(owner) as object;
  define(owner, inspect.custom, () => Object.assign(Object.create(prototype) as object, owner));
}

/** Makes an object print as this text only: as string, as JSON, and in `inspect`. */
export function printedAs<T extends object>(text: string, owner: T): T {
  for (const name of ['toString', 'toJSON', inspect.custom]) define(owner, name, () => text);
  return owner;
}

/** The bytes of a secret, for a driver that sends Buffers and logs what it sends. */
export function hiddenBytes(secret: string): Buffer {
  // Copied into memory of its own, not into the pool that Buffers share.
  return printedAs('[redacted]', Buffer.alloc(Buffer.byteLength(secret), secret));
}

function define(owner: object, name: string | symbol, value: unknown): void {
  Object.defineProperty(owner, name, { value, enumerable: false, writable: true, configurable: true });
}

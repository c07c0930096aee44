import { inspect } from 'node:util';

/**
 * An object with a property that can be read, and that no printer finds: it is no property of the object itself, and
 * `inspect` looks through a proxy, whose traps it never calls.
 */
export function withHidden<T extends object>(owner: T, name: string, read: () => unknown): T {
  return new Proxy(owner, {
    get: (target, key, receiver) => (key === name ? read() : (Reflect.get(target, key, receiver) as unknown)),
  });
}

/**
 * Gives an object that a driver has made properties for as long as it needs them. They are not enumerable, and `inspect`
 * is given the object without them, also where it is to show what is hidden; so that only what does without
 * `inspect.custom` and shows what is hidden (`console.dir` with `showHidden`) finds them.
 */
export function hide(owner: object, properties: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(properties)) define(owner, name, value);
  const prototype = Object.getPrototypeOf(owner) as object;
  define(owner, inspect.custom, () => Object.assign(Object.create(prototype) as object, owner));
}

/** Has an object print as this text alone: as text, as JSON, and where it is inspected. */
export function printedAs<T extends object>(text: string, owner: T): T {
  for (const name of ['toString', 'toJSON', inspect.custom]) define(owner, name, () => text);
  return owner;
}

/** The bytes of a secret, for a driver that sends Buffers and logs what it sends. */
export function hiddenBytes(secret: string): Buffer {
  // Not of the memory that Buffers share.
  return printedAs('[redacted]', Buffer.alloc(Buffer.byteLength(secret), secret));
}

function define(owner: object, name: string | symbol, value: unknown): void {
  Object.defineProperty(owner, name, { value, enumerable: false, writable: true, configurable: true });
}

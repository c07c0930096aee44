import { inspect } from 'node:util';

const PLACEHOLDER = '[redacted]';
const BRAND = Symbol.for('nestjs-vault.Secret');

/**
 * A value that cannot be printed by accident: `String()`, template strings, JSON, `util.inspect`, `console.log`
 * and Nest's logger all show `[redacted]`; `structuredClone` yields nothing of the value. {@link Secret.reveal}
 * is the only way in.
 *
 * @publicApi
 */
export class Secret<T = string> {
  // A private field, because it is invisible to enumeration, to inspect's showHidden and to structured cloning.
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
    Object.freeze(this);
  }

  /** The value itself. Keep what it returns out of logs, errors and long-lived variables. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return PLACEHOLDER;
  }

  toJSON(): string {
    return PLACEHOLDER;
  }

  /** @internal */
  [Symbol.toPrimitive](): string {
    return PLACEHOLDER;
  }

  /** @internal */
  [inspect.custom](): string {
    return PLACEHOLDER;
  }
}

Object.defineProperty(Secret.prototype, BRAND, { value: true });

/** True for a {@link Secret} of either copy (ESM, CommonJS) of this package. */
export function isSecret(value: unknown): value is Secret<unknown> {
  return typeof value === 'object' && value !== null && BRAND in value;
}

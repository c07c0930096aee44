import { inspect } from 'node:util';
import { fingerprint } from './fingerprint.js';

const PLACEHOLDER = '[redacted]';
/** The property by which assertions of tests (jest, vitest, node:assert) distinguish two secrets. */
const FINGERPRINT = Symbol('fingerprint');
const BRAND = Symbol.for('nestjs-vault.Secret');

/**
 * A value that cannot be printed by accident: `String()`, template strings, JSON, `util.inspect`, `console.log`
 * and Nest's logger all show `[redacted]`; `structuredClone` copies nothing of the value. {@link Secret.reveal} is the
 * only access. For the assertions of jest, vitest and `node:assert` two secrets are equal if their values are; a failed
 * assertion shows `[redacted]`, or a hash with a key of this process.
 *
 * @publicApi
 */
export class Secret<T = string> {
  // Private fields are invisible to enumeration, to inspect's showHidden and to structured cloning.
  readonly #value: T;
  /** Shared by all secrets to save memory; enumerable, as assertions compare nothing else. */
  static readonly #FINGERPRINTED: PropertyDescriptor = {
    enumerable: true,
    get(this: Secret<unknown>) {
      return fingerprint(this.#value);
    },
  };

  constructor(value: T) {
    this.#value = value;
    Object.defineProperty(this, FINGERPRINT, Secret.#FINGERPRINTED);
    Object.freeze(this);
  }

  /** The value itself. Keep it out of logs, errors and long-lived variables. */
  reveal(): T {
    return this.#value;
  }

  /** Returns a placeholder. */
  toString(): string {
    return PLACEHOLDER;
  }

  /** Returns a placeholder. */
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

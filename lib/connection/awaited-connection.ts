import { DEFAULT_CONNECTION } from '../config/resolved-options.js';
import { VaultError } from '../errors/vault-error.js';
import { OPTIONS_TIMEOUT, whenOptionsAreLate } from './options-timeout.js';
import type { VaultConnection } from './vault-connection.js';

/** A declared connection. Providers may wait for it before its options are known. */
export class AwaitedConnection {
  readonly promise: Promise<VaultConnection>;
  readonly #name: string;
  readonly #delayed: () => boolean;
  #resolve!: (connection: VaultConnection) => void;
  #reject!: (error: Error) => void;
  #optionsKnown = false;
  #stopWaiting: (() => void) | undefined;

  /** @param delayed whether the options may wait for other work of the start */
  constructor(name: string, delayed: () => boolean = () => false) {
    this.#name = name;
    this.#delayed = delayed;
    this.promise = new Promise<VaultConnection>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // In most applications no provider waits, and the rejection would be unhandled.
    this.promise.catch(() => undefined);
  }

  /**
   * The connection, for a provider that needs it. If a provider of the options waits for it, neither ever resolves. The
   * promise rejects then after {@link OPTIONS_TIMEOUT}, or when nothing else keeps the process alive.
   */
  wait(): Promise<VaultConnection> {
    if (this.#optionsKnown || this.#stopWaiting) return this.promise;
    const fail = () => this.reject(waitsForItself(this.#name));
    this.#stopWaiting = whenOptionsAreLate(fail, this.#delayed);
    return this.promise;
  }

  /** The options are known: no time limit applies any more. */
  begin(): void {
    this.#optionsKnown = true;
    this.#stopWaiting?.();
  }

  resolve(connection: VaultConnection): void {
    this.#resolve(connection);
  }

  reject(error: Error): void {
    this.begin();
    this.#reject(error);
  }
}

function waitsForItself(name: string): VaultError {
  const which = name === DEFAULT_CONNECTION ? 'without a name' : `"${name}"`;
  return new VaultError({
    code: 'VAULT_STARTUP_FAILED',
    message: `A provider waits for the Vault connection ${which}, but its options have not arrived.`,
    hint:
      'Look for a cycle: providers that `useFactory` of the options injects must not await a service of this ' +
      'package or the VaultClient of the same connection. ' +
      `Options that take longer than ${OPTIONS_TIMEOUT / 1_000} s cause the same error.`,
  });
}

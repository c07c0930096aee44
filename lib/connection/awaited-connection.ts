import { DEFAULT_CONNECTION } from '../config/resolved-options.js';
import { VaultError } from '../errors/vault-error.js';
import type { VaultConnection } from './vault-connection.js';

/** Milliseconds for the options to arrive, where something waits for the connection: `startup.timeout` is one of them. */
const OPTIONS_TIMEOUT = 10_000;

/** A connection that is declared, and that something may wait for before its options are known. */
export class AwaitedConnection {
  readonly promise: Promise<VaultConnection>;
  readonly #name: string;
  #resolve!: (connection: VaultConnection) => void;
  #reject!: (error: Error) => void;
  #begun = false;
  #stopWaiting: (() => void) | undefined;

  constructor(name: string) {
    this.#name = name;
    this.promise = new Promise<VaultConnection>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Mostly nothing waits for it.
    this.promise.catch(() => undefined);
  }

  /**
   * The connection, for something that does not go on without it. Where a provider of the options waits for it, neither
   * ever comes: that is noticed when the time is over, or when nothing else keeps the process alive.
   */
  wait(): Promise<VaultConnection> {
    if (this.#begun || this.#stopWaiting) return this.promise;
    const fail = () => this.reject(waitsForItself(this.#name));
    const timer = setTimeout(fail, OPTIONS_TIMEOUT).unref();
    process.once('beforeExit', fail);
    this.#stopWaiting = () => {
      clearTimeout(timer);
      process.removeListener('beforeExit', fail);
    };
    return this.promise;
  }

  /** Its options are known. */
  begin(): void {
    this.#begun = true;
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
    message: `Something waits for the Vault connection ${which}, whose options have not arrived.`,
    hint:
      'Look for a cycle: what `useFactory` of the options injects must not await KvService, CredentialsService or ' +
      `VaultClient of the same connection. Options that take longer than ${OPTIONS_TIMEOUT / 1_000} s end the same way.`,
  });
}

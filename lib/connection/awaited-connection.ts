import { systemClock } from '../clock/clock.js';
import { DEFAULT_CONNECTION } from '../config/resolved-options.js';
import { VaultError } from '../errors/vault-error.js';
import type { VaultConnection } from './vault-connection.js';

/** Milliseconds that a provider waits for the options of a connection: `startup.timeout` is not known before. */
const OPTIONS_TIMEOUT = 10_000;

/** A declared connection. Providers may wait for it before its options are known. */
export class AwaitedConnection {
  readonly promise: Promise<VaultConnection>;
  readonly #name: string;
  #resolve!: (connection: VaultConnection) => void;
  #reject!: (error: Error) => void;
  #optionsKnown = false;
  #stopWaiting: (() => void) | undefined;

  constructor(name: string) {
    this.#name = name;
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
    const cancel = systemClock.setTimer(OPTIONS_TIMEOUT, fail);
    process.once('beforeExit', fail);
    this.#stopWaiting = () => {
      cancel();
      process.removeListener('beforeExit', fail);
    };
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

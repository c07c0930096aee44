import { DEFAULT_CONNECTION, invalidOptions } from '../config/resolved-options.js';
import { closed } from '../errors/common-errors.js';
import { listed } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import { EventBus } from '../events/events.js';
import { AwaitedConnection } from './awaited-connection.js';
import { endWithProcess, endSignalHandling } from './process-end.js';
import type { VaultConnection } from './vault-connection.js';

/** The connections of one application by name: the declared ones, and the ones that are up. */
export class VaultConnections {
  readonly bus = new EventBus();
  readonly #opened = new Set<VaultConnection>();
  readonly #created = new Map<string, { declaration: object; connection: Promise<VaultConnection> }>();
  readonly #up = new Map<string, VaultConnection>();
  readonly #waiting = new Map<string, AwaitedConnection>();
  readonly #declared: ReadonlySet<string>;
  /** Names declared through the other copy (ESM, CommonJS) of this package, which has services of its own. */
  readonly #inOtherCopy: ReadonlySet<string>;
  readonly #byDefault: string;
  #reading = 0;
  #failure: { reason: unknown } | undefined;
  #closed = false;
  #built = false;
  #started = false;

  /**
   * @param declared one entry for each declaration in the modules of the application
   * @param byDefault the connection of callers that name none
   */
  constructor(declared: readonly { name: string; own: boolean }[], byDefault = DEFAULT_CONNECTION) {
    this.#byDefault = byDefault;
    const names = declared.map(({ name }) => name);
    const duplicate = names.find((name, index) => names.indexOf(name) !== index);
    if (duplicate !== undefined) throw declaredTwice(duplicate);
    const namesOf = (own: boolean) => declared.filter((one) => one.own === own).map(({ name }) => name);
    this.#declared = new Set(namesOf(true));
    this.#inOtherCopy = new Set(namesOf(false));
    for (const name of this.#declared)
      this.#waiting.set(name, new AwaitedConnection(name, () => this.#reading > 0));
  }

  /**
   * Creates the connection of one declaration once. Nest 11.0 and 11.1 build the providers of a module again for each
   * lazy module that reaches it.
   *
   * @throws VaultError `VAULT_CONFIG_INVALID` if another declaration has the same name
   */
  once(name: string, declaration: object, make: () => Promise<VaultConnection>): Promise<VaultConnection> {
    let created = this.#created.get(name);
    if (!created) this.#created.set(name, (created = { declaration, connection: make() }));
    if (created.declaration !== declaration) throw declaredTwice(name);
    return created.connection;
  }

  /** The options of a declared connection are known: callers wait for it without a time limit. */
  optionsKnown(name: string): void {
    this.#waiting.get(name)?.begin();
  }

  /** Reads a configuration, which the options of a connection may wait for. */
  async whileReading<T>(read: () => Promise<T>): Promise<T> {
    this.#reading++;
    return read().finally(() => this.#reading--);
  }

  /** Records a connection that has to be closed, even if its start fails. */
  begin(connection: VaultConnection): void {
    // Opened before, by the configuration.
    if (this.#opened.has(connection)) return;
    this.#opened.add(connection);
    const forget = connection.exitTimeout > 0 ? endWithProcess(connection, !this.#started) : undefined;
    const complete = () => {
      forget?.();
      this.#opened.delete(connection);
    };
    connection.changes$.subscribe({ complete });
    // Another connection has failed meanwhile, and so has the start of the application.
    if (this.#closed) void connection.close();
  }

  /** Whether Nest has built the application: from then on, one failure ends no other connection. */
  get isBuilt(): boolean {
    return this.#built;
  }

  /** All connections of the start are up, and later ones are of modules that are loaded lazily. */
  built(): void {
    this.#built = true;
  }

  /** Whether the application has started. */
  get isStarted(): boolean {
    return this.#started;
  }

  /** The application has started. */
  started(): void {
    this.#started = true;
    for (const connection of this.#opened) endSignalHandling(connection);
  }

  /**
   * The start of a connection has failed, and so has the start of the application, unless it is built already.
   *
   * @param connection undefined if it could not be created
   * @returns the first failure, which is the reason for those of the connections that it closed
   */
  async fail(name: string, error: unknown, connection?: VaultConnection): Promise<unknown> {
    if (this.#built) {
      await connection?.close();
      return error;
    }
    this.#failure ??= { reason: error };
    this.#waiting.get(name)?.reject(error as Error);
    await this.close();
    return this.#failure.reason;
  }

  /** Closes all connections, as at shutdown. Waits for connections that did not come up reject. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#waiting.values()) waiting.reject(closed());
    await Promise.all([...this.#opened].map((connection) => connection.close()));
    this.bus.close();
  }

  /**
   * Adds a connection after its login.
   *
   * @throws VaultError `VAULT_CLOSED` if the application was closed meanwhile
   */
  add(connection: VaultConnection): void {
    if (this.#closed) throw closed();
    this.#up.set(connection.name, connection);
    this.#waiting.get(connection.name)?.resolve(connection);
  }

  /**
   * Waits until a connection is up.
   *
   * @throws VaultError the error of its start, `VAULT_STARTUP_FAILED` if its options wait for it, `VAULT_CLOSED` if the
   * application closed before it was up, and `VAULT_CONNECTION_UNKNOWN`
   */
  async get(name = this.#byDefault): Promise<VaultConnection> {
    const connection = this.#up.get(name) ?? this.#waiting.get(name)?.wait();
    if (connection) return connection;
    throw this.#unknown(name);
  }

  /**
   * The connections by name that matter for a caller: the declared ones, and those of lazy modules. Undefined stands for
   * one that is not up yet.
   *
   * @throws VaultError `VAULT_CONNECTION_UNKNOWN`
   */
  named(name?: string): ReadonlyMap<string, VaultConnection | undefined> {
    const names = new Set([...this.#declared, ...this.#up.keys()]);
    if (names.size === 0 || (name !== undefined && !names.has(name)))
      throw this.#unknown(name ?? this.#byDefault);
    const wanted = name === undefined ? [...names] : [name];
    return new Map(wanted.map((one) => [one, this.#up.get(one)]));
  }

  #unknown(name: string): VaultError {
    const known = [...this.#declared].map((one) =>
      one === DEFAULT_CONNECTION ? 'the one without a name' : `"${one}"`,
    );
    return new VaultError({
      code: 'VAULT_CONNECTION_UNKNOWN',
      message: `There is no Vault connection ${name === DEFAULT_CONNECTION ? 'without a name' : `"${name}"`}.`,
      hint: this.#inOtherCopy.has(name)
        ? 'It is declared through another copy of this package: import it in one format, ESM or CommonJS, everywhere.'
        : `Declared are: ${listed(known) || 'none'}. Correct the name. In Nest, VaultModule.forRoot with that \`name\` declares it; without Nest, use the object that connectVault returned for it.`,
    });
  }

  /** A connection, if it is up. */
  known(name = this.#byDefault): VaultConnection | undefined {
    return this.#up.get(name);
  }

  /** All connections, when all are up. */
  all(): Promise<VaultConnection[]> {
    return Promise.all([...this.#waiting.values()].map(({ promise }) => promise));
  }

  get up(): readonly VaultConnection[] {
    return [...this.#up.values()];
  }
}

function declaredTwice(name: string): VaultError {
  return invalidOptions(name, [
    `two modules declare ${name === DEFAULT_CONNECTION ? 'the connection without a name' : 'this connection'}; ` +
      'give one of them another `name`, or call forRoot once and import its result where it is needed',
  ]);
}

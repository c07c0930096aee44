import type { ModulesContainer } from '@nestjs/core';
import { background } from '../clock/background.js';
import { systemClock } from '../clock/clock.js';
import { originalOptions } from '../config/hidden-options.js';
import type { VaultOptions } from '../config/options.js';
import { resolveOptions } from '../config/resolved-options.js';
import { VaultConnection } from '../connection/vault-connection.js';
import { OPTIONS_TIMEOUT, whenOptionsAreLate } from '../connection/options-timeout.js';
import { VaultConnections } from '../connection/vault-connections.js';
import { providerOf } from '../discovery/nest-container.js';
import { NestLogger } from '../discovery/nest-logger.js';
import { startFailed } from '../errors/common-errors.js';
import { logEvents } from '../events/log-events.js';
import { VaultLogLine } from '../events/log-line.js';
import { write } from '../events/logger.js';
import { ENVIRONMENT_TOKEN, type Environment } from '../vault.environment.js';
import { declarationsIn, ownOptions, type Declaration, type DeclaredConnection } from './declarations.js';
import { loaderOf, watchedOf, type Loader } from './loader.js';
import { notLasting, optionsNotResolved, optionsOverridden, optionsTooLate } from './configuration-errors.js';
import { readConfiguration } from './read-configuration.js';
import { SharedConnection } from './shared-connection.js';

/** Name of a connection that only the configuration uses. */
const CONFIGURATION = 'configuration';

const APPLICATIONS = new WeakMap<ModulesContainer, Application>();

/**
 * The connections of one application. A module and the configuration that are given the same options object share one,
 * whichever comes first. Without a module that owns it, a connection ends after the last read.
 */
export class Application {
  readonly connections: VaultConnections;
  readonly #modules: ModulesContainer | undefined;
  readonly #declared: readonly DeclaredConnection[];
  /** Declarations whose options are known. */
  readonly #decided = new Set<Declaration>();
  readonly #shared = new Set<SharedConnection>();
  readonly #loaded = new Map<Loader, Promise<object>>();
  readonly #tried = new Set<Loader>();
  readonly #logger = new NestLogger();

  /** One for each container. A configuration that Nest does not load has an application of its own. */
  static of(modules: ModulesContainer | undefined): Application {
    const known = modules && APPLICATIONS.get(modules);
    if (known) return known;
    const application = new Application(modules);
    if (modules) APPLICATIONS.set(modules, application);
    return application;
  }

  private constructor(modules: ModulesContainer | undefined) {
    this.#modules = modules;
    this.#declared = modules ? declarationsIn(modules) : [];
    this.connections = new VaultConnections(
      this.#declared.map(({ name, declaration }) => ({ name, own: declaration !== undefined })),
    );
    logEvents(this.connections.bus.events$, this.#logger);
  }

  /** The connection of a module, which owns it from now on. */
  open(declaration: Declaration, options: VaultOptions): SharedConnection {
    this.#decided.add(declaration);
    const keys = [originalOptions(options), ...(declaration.given ? [declaration.given] : [])];
    // Two modules have two connections, even with the same options.
    const known = keys.map((key) => this.#find(key)).find((one) => one?.owned === false);
    const shared = known ?? this.#create(options, declaration.name);
    shared.own(declaration.name, keys);
    // No other connection can become that of this module.
    const ending = [...this.#shared].filter((one) => !this.#isLasting(one));
    const watched = ending.flatMap((one) => [...one.watched]);
    for (const one of ending) void this.#release(one);
    if (watched.length > 0) throw notLasting(watched);
    return shared;
  }

  /** Reads the configuration of a connection, so that nothing else is read before it. */
  async loadAll({ keys }: SharedConnection): Promise<void> {
    const loaders = [...keys].flatMap((key) => this.#loadersOf(key));
    await Promise.all(loaders.map((loader) => this.load(loader)));
  }

  /** The values of a loader, read once, together with those of all loaders that have the same connection. */
  load(loader: Loader): Promise<object> {
    const known = this.#loaded.get(loader);
    if (known) return known;
    const { vault } = loader;
    // What has failed once is read again only at its own call: it belongs to a lazy module that could not be loaded.
    const others = (vault ? this.#loadersOf(vault) : []).filter((one) => !this.#tried.has(one));
    const batch = new Set([loader, ...others]);
    // In the background context: a promise keeps the context of its creation, and these are kept with the application.
    background(() => {
      const read = this.connections.whileReading(() => this.#read(vault, [...batch]));
      for (const one of batch) {
        this.#tried.add(one);
        const values = read.then((all) => all.get(one) as object);
        values.catch(() => this.#loaded.delete(one));
        this.#loaded.set(one, values);
      }
    });
    return this.#loaded.get(loader) as Promise<object>;
  }

  async #read(vault: Loader['vault'], batch: readonly Loader[]): Promise<Map<Loader, object>> {
    const name = (vault && this.#possibleOwners(vault)[0]?.name) ?? CONFIGURATION;
    const warn = (text: string) => write(this.#logger, new VaultLogLine('configuration-defaults', text));
    let shared: SharedConnection | undefined;
    try {
      const options = vault && !this.#find(vault) ? await inTime(this.#optionsOf(vault)) : undefined;
      // The module may have opened the connection meanwhile.
      shared =
        vault && (this.#find(vault) ?? (options && (this.#find(options) ?? this.#create(options, name))));
      if (!vault || !shared) return await readConfiguration(batch, undefined, warn);
      const user = shared;
      user.keys.add(vault);
      // A factory may return the same object.
      if (options && typeof vault === 'function') user.keys.add(options);
      for (const watched of batch.flatMap(watchedOf)) user.watched.add(watched);
      const { connection } = user;
      if (!this.#isLasting(user) && user.watched.size > 0) throw notLasting([...user.watched]);
      const ready = user.ready();
      return await user.startUp(async () => {
        const left = await ready;
        const budget = this.connections.isStarted ? connection.startup.timeout : left();
        return readConfiguration(batch, { connection, budget }, warn);
      });
    } catch (error) {
      const reason = shared ? startFailed(error, shared.connection.startup.timeout) : error;
      // The start of the application has failed, and Nest calls no hook that would end the connections of its modules.
      if (this.#declared.length > 0 && !this.connections.isBuilt)
        throw await this.connections.fail(name, reason);
      throw reason;
    } finally {
      if (shared) await this.#release(shared);
    }
  }

  #find(key: object): SharedConnection | undefined {
    return [...this.#shared].find(({ keys }) => keys.has(key));
  }

  #create(options: VaultOptions, name: string): SharedConnection {
    const { clock, transport } = this.#environment;
    const resolved = resolveOptions(options, name);
    const connection = new VaultConnection(resolved, this.connections.bus, clock, transport?.());
    connection.rename(this.#freeName(name));
    this.connections.begin(connection);
    const shared = new SharedConnection(connection, this.#logger, transport !== undefined);
    this.#shared.add(shared);
    return shared;
  }

  /** Log lines and metrics of two connections of one name would be those of one. */
  #freeName(name: string): string {
    const taken = new Set([...this.#shared].map(({ connection }) => connection.name));
    let free = name;
    for (let number = 2; taken.has(free); number++) free = `${name}-${number}`;
    return free;
  }

  /** Ends a connection after the last read, unless a module owns it or may still take it over. */
  async #release(shared: SharedConnection): Promise<void> {
    const end = async () => {
      if (shared.owned || shared.inUse) return;
      this.#shared.delete(shared);
      await shared.connection.close();
    };
    if (!this.#isLasting(shared)) return end();
    if (shared.owned || shared.inUse) return;
    systemClock.setTimer(OPTIONS_TIMEOUT, () => {
      if (shared.watched.size > 0 && this.#shared.has(shared) && !shared.owned && !shared.inUse) {
        const error = optionsTooLate([...shared.watched]);
        const { code: errorCode } = error;
        write(this.#logger, new VaultLogLine('configuration-too-late', error.message, { errorCode }));
        void this.connections.fail(shared.connection.name, error);
      }
      void end();
    });
  }

  /** Whether a module owns a connection, or may still take it over. */
  #isLasting({ owned, keys }: SharedConnection): boolean {
    return owned || [...keys].some((key) => this.#possibleOwners(key).length > 0);
  }

  /** The declarations that have these options, or whose factory, which has not returned yet, may return them. */
  #possibleOwners(key: object): Declaration[] {
    return this.#declared
      .map(({ declaration }) => declaration)
      .filter((one): one is Declaration => one !== undefined && !this.#decided.has(one))
      .filter(({ given, known }) => given === key || (!known && typeof key === 'object'));
  }

  /** The options as the module gets them: a test may have overridden them. */
  #optionsOf(vault: object): VaultOptions | undefined | Promise<VaultOptions | undefined> {
    const declared = this.#declared.find(({ declaration }) => declaration?.given === vault);
    if (declared?.optionsToCome) throw optionsOverridden();
    if (declared?.optionsInPlace) return declared.optionsInPlace as VaultOptions;
    return typeof vault === 'function'
      ? (vault as () => VaultOptions | undefined)()
      : ownOptions(vault as VaultOptions);
  }

  #loadersOf(key: object): Loader[] {
    const modules = [...(this.#modules?.values() ?? [])];
    const factories = modules.flatMap(({ providers }) =>
      [...providers.values()].map(({ metatype }) => metatype),
    );
    const loaders = factories.map((factory) => loaderOf(factory)).filter((one) => one?.vault === key);
    return [...new Set(loaders as Loader[])];
  }

  get #environment(): Environment {
    const wrapper = this.#modules && providerOf(this.#modules, ENVIRONMENT_TOKEN);
    return wrapper ? (wrapper.metatype as () => Environment)() : {};
  }
}

/** @throws VaultError if the options do not arrive in time */
async function inTime<T>(options: T | Promise<T>): Promise<T> {
  let cancel = () => {};
  const late = new Promise<never>((_resolve, reject) => {
    cancel = whenOptionsAreLate(() => reject(optionsNotResolved()));
  });
  return Promise.race([options, late]).finally(cancel);
}

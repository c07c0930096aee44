import { Observable } from 'rxjs';
import { background } from '../clock/background.js';
import { atOneMoment } from '../clock/clock.js';
import type { Task } from '../clock/scheduler.js';
import { encodeApiPath } from '../client/path.js';
import { closed } from '../errors/common-errors.js';
import { VaultError } from '../errors/vault-error.js';
import type { LeaseStatus } from '../events/status.js';
import type { Credentials, Lease } from './lease.js';
import { parametersKey, type IssueParameters } from '../engines/engine.js';
import type { Engine } from '../engines/own-engine.js';
import type { Requirement } from './issued-check.js';
import { LeaseLifecycle } from './lease-lifecycle.js';
import type { LeaseContext } from './lease-context.js';

/** All leased secrets of one connection: one for each path, shared by all its consumers. */
export class LeaseRegistry {
  readonly #context: LeaseContext;
  /** By the paths that callers write, so that `current` need not encode: each has an encoded form of its own. */
  readonly #secrets = new Map<string, LeaseLifecycle<unknown>>();
  /** Released secrets whose leases consumers still hold. */
  readonly #leaving = new Set<LeaseLifecycle<unknown>>();
  /** First reads that failed permanently, so that a caller in a loop does not cause requests in a loop. */
  readonly #refused = new Map<string, { error: VaultError; until: number }>();
  #frozen = false;
  #ended = false;

  constructor(context: LeaseContext) {
    this.#context = context;
    context.session.onChange((token) => {
      for (const secret of this.#all) secret.tokenChanged(token);
    });
  }

  /** @param requirement of the consumer: after the first snapshot that meets it, all later ones meet it too */
  watch<T>(
    path: string,
    keepTrying: boolean,
    parameters?: IssueParameters,
    requirement?: Requirement,
    engine?: Engine<never>,
  ): Observable<Credentials<T>> {
    encodeApiPath(path);
    return new Observable<Credentials<T>>((subscriber) => {
      const task = this.#soon(path, parameters, () => {
        try {
          const secret = this.#open<T>(path, parameters, engine, keepTrying);
          if (requirement) secret.require(requirement);
          // Subscribe first: the first read may fail synchronously.
          secret.stream$.subscribe(subscriber);
          secret.start(keepTrying);
        } catch (error) {
          subscriber.error(error);
        }
      });
      return task && (() => task.cancel());
    });
  }

  /** @param timeout milliseconds to wait for the first credentials */
  get<T>(
    path: string,
    timeout = this.#context.options.timeout,
    parameters?: IssueParameters,
    requirement?: Requirement,
    engine?: Engine<never>,
  ): Promise<Credentials<T>> {
    const { clock } = this.#context;
    const end = clock.monotonic() + timeout;
    return new Promise((resolve, reject) => {
      this.#soon(path, parameters, () => {
        try {
          const secret = this.#open<T>(path, parameters, engine);
          if (requirement) secret.require(requirement);
          resolve(secret.get(end - clock.monotonic()));
          secret.start(false);
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  current<T>(path: string, parameters?: IssueParameters): Credentials<T> | undefined {
    return this.#secrets.get(keyOf(path, parameters))?.current() as Credentials<T> | undefined;
  }

  async release(path: string, parameters?: IssueParameters): Promise<void> {
    encodeApiPath(path);
    const key = keyOf(path, parameters);
    const secret = this.#secrets.get(key);
    if (!secret) return;
    this.#secrets.delete(key);
    for (const left of this.#leaving) if (left.gone) this.#leaving.delete(left);
    this.#leaving.add(secret);
    this.#context.emit({ type: 'released', path: secret.path });
    await background(() => secret.end());
    this.#context.changed();
  }

  status(): LeaseStatus[] {
    const at = atOneMoment(this.#context.clock);
    return Array.from(this.#secrets.values(), (secret) => secret.status(at));
  }

  statusOf(path: string, parameters?: IssueParameters): LeaseStatus | undefined {
    encodeApiPath(path);
    return this.#secrets.get(keyOf(path, parameters))?.status();
  }

  get held(): boolean {
    return this.#all.some((secret) => secret.held);
  }

  /** All leases that have not ended. */
  get leases(): Lease<unknown>[] {
    return this.#all.flatMap((secret) => secret.leases);
  }

  get #all(): LeaseLifecycle<unknown>[] {
    return [...this.#secrets.values(), ...this.#leaving];
  }

  /** From now on leases are renewed, but not replaced. */
  freeze(): void {
    this.#frozen = true;
    for (const secret of this.#secrets.values()) secret.freeze();
  }

  /** Completes every stream. Resolves when that is done: thousands take more than one turn of the event loop. */
  async end(): Promise<void> {
    // Callers that still wait for their turn get an error, because nothing would end their leases.
    this.#ended = true;
    const secrets = [...this.#secrets.values()];
    this.#secrets.clear();
    for (const secret of secrets) this.#leaving.add(secret);
    const { clock, scheduler } = this.#context;
    const end = (secret: LeaseLifecycle<unknown>) =>
      new Promise<void>((resolve) => {
        const run = () => {
          void secret.end();
          resolve();
        };
        scheduler.soon(clock.monotonic(), { run });
      });
    await Promise.all(secrets.map(end));
  }

  async retireAll(): Promise<void> {
    await Promise.all([...this.#leaving].map((secret) => secret.retireAll()));
  }

  /**
   * Serves a caller: at once if there are valid credentials, or if this turn of the event loop has time left. Thousands
   * of callers may come in one turn, so little is made for each.
   *
   * @param serve must not throw
   * @returns the task that serves it, unless it was served at once
   */
  #soon(path: string, parameters: IssueParameters | undefined, serve: () => void): Task | undefined {
    const { clock, scheduler, diagnostics } = this.#context;
    if (!this.#secrets.get(keyOf(path, parameters))?.isValid)
      return scheduler.soon(clock.monotonic(), { run: diagnostics.inContext(serve) });
    serve();
    return undefined;
  }

  /** @param keepTrying whether to send a request although the server has just refused one */
  #open<T>(
    path: string,
    parameters: IssueParameters | undefined,
    given: Engine<never> | undefined,
    keepTrying = false,
  ): LeaseLifecycle<T> {
    const key = keyOf(path, parameters);
    let secret = this.#secrets.get(key);
    const encoded = secret?.path ?? encodeApiPath(path);
    if (this.#ended || this.#context.session.closed) throw closed(encoded);
    const refused = this.#refused.get(key);
    if (refused && !keepTrying && this.#context.clock.monotonic() < refused.until) throw refused.error;
    const engine = given && this.#context.engines.given(given);
    if (secret && engine && secret.engine !== engine) throw twoEngines(encoded);
    if (!secret) {
      const target = { key, path: encoded, parameters, engine };
      secret = new LeaseLifecycle<unknown>(target, this.#context, this.#onRefused);
      if (this.#frozen) secret.freeze();
      this.#secrets.set(key, secret);
      this.#refused.delete(key);
    }
    return secret as LeaseLifecycle<T>;
  }

  /** A first read failed permanently. For a short time, further callers get its error without a request. */
  readonly #onRefused = (secret: LeaseLifecycle<unknown>, error: VaultError): void => {
    const { clock, options, random } = this.#context;
    const now = clock.monotonic();
    // The oldest first: a look at all of them would take long if thousands of paths are refused at once.
    for (const [key, { until }] of this.#refused) {
      if (until >= now) break;
      this.#refused.delete(key);
    }
    const until = now + options.retry.initialDelay * (1 - random() * options.retry.jitter);
    this.#refused.set(secret.key, { error, until });
    this.#secrets.delete(secret.key);
  };
}

/** All consumers of a path share one secret, and so one engine. */
function twoEngines(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The secret at ${path} is in use already, without this engine.`,
    hint: 'Give the engine once, in `engines` of the options of the connection, or the same one in every call.',
    path,
  });
}

/** The same path with other parameters is another secret. No valid path contains a line break. */
function keyOf(path: string, parameters: IssueParameters | undefined): string {
  return parameters === undefined ? path : `${path}\n${parametersKey(parameters, path)}`;
}

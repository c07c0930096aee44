import type { Observable, Subscription } from 'rxjs';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import { apart } from '../../clock/apart.js';
import { background } from '../../clock/background.js';
import { VaultError } from '../../errors/vault-error.js';
import { Era, sameUser } from './era.js';
import { inTime } from './in-time.js';
import type { Reports } from './reports.js';
import { DRAIN, FAREWELL, type RotationDriver, type RotationOptions } from './rotation-driver.js';

/** Milliseconds between tries to log in with new credentials: doubling. */
const PROOF_RETRY = { first: 100, last: 2_000 };
/** A replica may learn of a new user a moment after the primary, so a refusal is believed after so many. */
const REFUSALS = 4;

/** Milliseconds for new credentials to arrive where the current ones are of no use. */
export const REPLACEMENT = 5_000;

/**
 * Leads the connections of one pool from each credentials to the next: new ones are proved before they are used,
 * earlier ones are held until the last of their connections is closed.
 */
export class Rotation<C> {
  readonly #driver: RotationDriver<C>;
  readonly #reports: Reports;
  readonly #drain: number;
  readonly #subscription: Subscription;
  readonly #superseded = new Set<Era<C>>();
  #current: Era<C> | undefined;
  /** Not proved yet. */
  #candidate: Era<C> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #waiting: { resolve: (era: Era<C>) => void; reject: (error: Error) => void }[] = [];
  readonly #replacing = new Set<() => void>();
  #failure: Error | undefined;
  #ended = false;
  /** What is to be done before the lease of the current credentials is let go of. */
  #leaving: Promise<void> | undefined;

  /** @param options.onEnd called once where the stream ends, with its error if it has one */
  constructor(
    credentials$: Observable<DatabaseCredentials>,
    driver: RotationDriver<C>,
    options: RotationOptions & { reports: Reports; onEnd: (error?: Error) => void },
  ) {
    this.#driver = driver;
    this.#reports = options.reports;
    this.#drain = options.drain ?? DRAIN;
    const stop = (error: Error | undefined) => {
      this.#fail(error ?? noCredentials());
      // The pool is not built yet where the stream ends at once.
      queueMicrotask(() => options.onEnd(error));
    };
    this.#subscription = credentials$.subscribe({
      next: (credentials) => background(() => this.#next(credentials)),
      error: (error: unknown) => stop(error as Error),
      complete: () => stop(undefined),
    });
  }

  /** What new connections are to use; waits for the first. Once the rotation has ended, there is none. */
  async ready(): Promise<Era<C>> {
    if (this.usable) return this.usable;
    if (this.#failure) throw this.#failure;
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** The same, where it is known at once. */
  get usable(): Era<C> | undefined {
    return this.#ended ? undefined : this.#current;
  }

  /**
   * Whether a connection may be lent: undefined where its lease has not reached its end. Otherwise the server is asked, once
   * however many wait; false where there are other credentials by then.
   *
   * @throws VaultError `VAULT_CREDENTIALS_EXPIRED`, where there are none in time
   */
  lendable(era: Era<C>): Promise<boolean> | undefined {
    const look = era.credentials.lease.ensureValid?.();
    return look && this.#lendAfter(era, look);
  }

  async #lendAfter(era: Era<C>, look: Promise<void>): Promise<boolean> {
    const expired = await inTime(look, REPLACEMENT).then(
      () => undefined,
      // What is late is as good as no answer.
      (error: unknown) => (error instanceof VaultError ? error : undefined),
    );
    if (expired && era === this.#current) await this.replaced(era, REPLACEMENT);
    if (era !== this.#current) return false;
    if (expired) throw expired;
    return true;
  }

  get current(): Era<C> | undefined {
    return this.#current;
  }

  /** What is being proved. */
  get candidate(): Era<C> | undefined {
    return this.#candidate;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Why there will be no more credentials, once there will be none. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Whether others take the place of these within so many milliseconds. */
  async replaced(era: Era<C>, timeout: number): Promise<boolean> {
    if (era === this.#current && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#replacing.add(resolve);
        setTimeout(() => {
          this.#replacing.delete(resolve);
          resolve();
        }, timeout).unref();
      });
    }
    return era !== this.#current && !this.#ended;
  }

  /** Connections of earlier credentials that are still open. */
  get superseded(): number {
    return [...this.#superseded].reduce((sum, era) => sum + era.connections.size, 0);
  }

  /** A connection is being made. */
  opened(era: Era<C>, connection: C): void {
    era.connections.add(connection);
  }

  /** A connection is gone, or was never made. */
  closed(era: Era<C>, connection: C): void {
    era.connections.delete(connection);
    this.#settle(era);
  }

  /** The database denied a statement, as it would do to a user who is gone: that is checked, once in a while. */
  doubt(era: Era<C>): void {
    era.doubtful = true;
    this.#check(era, 'statement');
  }

  /** A session ended by itself, as that of a user who is gone may; also where it was idle for too long. */
  sessionEnded(era: Era<C>): void {
    this.#check(era, 'statement');
  }

  /**
   * A connection of these credentials could not log in. Whatever the error is, they are checked: a proxy in between has
   * its own words for a user who is gone.
   */
  loginFailed(era: Era<C>, error: unknown): void {
    if (this.#driver.refuses(error)) era.doubtful = true;
    this.#check(era, 'login');
  }

  /** Nothing new is opened any more; leases are let go of as the last connections close. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#subscription.unsubscribe();
    this.#fail(poolEnded());
    this.#drop();
    this.#resume();
    const { current } = this;
    if (!current) return;
    const done = () => {
      this.#leaving = undefined;
      this.#settle(current);
    };
    const leaving = current.used && background(() => this.#driver.leaving?.(current.credentials));
    if (leaving) this.#leaving = inTime(leaving, FAREWELL).then(done, done);
    else this.#settle(current);
  }

  #check(era: Era<C>, about: 'statement' | 'login'): void {
    const { checks } = era;
    if (era !== this.#current || this.#candidate || this.#ended) return;
    if (checks.running || !checks.due(about)) return;
    checks.running = true;
    // Not at once: a pool whose first login failed may end itself for that.
    const verify = () => {
      const verified = this.#ended || era !== this.#current ? Promise.resolve() : this.#verify(era);
      verified.catch(() => undefined).finally(() => (checks.running = false));
    };
    // Whoever met the error: the check belongs to the pool.
    background(() => setImmediate(verify));
  }

  /** Whether credentials in use still log in, and if so, whether their lease lives. */
  async #verify(era: Era<C>): Promise<void> {
    const { credentials } = era;
    try {
      await inTime(this.#driver.prove(credentials));
    } catch (error) {
      if (era === this.#current) await this.#suspect(era, error);
      return;
    }
    await credentials.lease.refused?.(false);
  }

  /** Its credentials do not log in. Where that may have other causes, the server is asked whether the lease lives. */
  async #suspect(era: Era<C>, error: unknown): Promise<void> {
    const { path, serial, checks } = era;
    era.refused = this.#driver.refuses(error);
    era.doubtful = true;
    if (era.refused) this.#reports.tell({ type: 'refused', path, serial });
    else if (checks.failed()) this.#reports.tell({ type: 'verification-failed', path, serial, error });
    await era.credentials.lease.refused?.(era.refused);
  }

  #next(credentials: DatabaseCredentials): void {
    if (this.#ended) return;
    const era: Era<C> = new Era(credentials, this.#drain, () => this.#ending(era));
    if (this.#current) {
      this.#drop();
      this.#candidate = era;
      return void this.#prove(era, 1, PROOF_RETRY.first);
    }
    this.#current = era;
    for (const { resolve } of this.#waiting.splice(0)) resolve(era);
  }

  async #prove(era: Era<C>, attempt: number, delay: number): Promise<void> {
    try {
      await inTime(this.#driver.prove(era.credentials, this.#current?.credentials));
    } catch (error) {
      if (this.#candidate !== era) return;
      if (attempt >= REFUSALS && !era.refused && era.checks.due('login')) {
        this.#suspect(era, error).catch(() => undefined);
      }
      // Others are on their way, unless it is the password of a static role: that a replica may learn of yet.
      if (era.refused) era.release();
      const pause = era.refused ? PROOF_RETRY.last : delay;
      const next = () => void this.#prove(era, attempt + 1, Math.min(delay * 2, PROOF_RETRY.last));
      this.#retry = setTimeout(next, pause).unref();
      return;
    }
    if (this.#candidate === era) this.#publish(era);
  }

  #publish(era: Era<C>): void {
    const previous = this.#current as Era<C>;
    this.#candidate = undefined;
    this.#current = era;
    era.hold();
    this.#superseded.add(previous);
    this.#driver.published(previous.doubtful);
    for (const earlier of this.#superseded) this.#supersede(earlier, previous);
    this.#reports.tell({
      type: 'rotated',
      path: era.path,
      serial: era.serial,
      superseded: previous.connections.size,
    });
    this.#settle(previous);
    this.#resume();
  }

  /** No window for sessions of the same user: whatever its password is now, they go on until they are given back. */
  #supersede(earlier: Era<C>, previous: Era<C>): void {
    const { credentials } = this.#current as Era<C>;
    const same = sameUser(earlier.credentials, credentials);
    // Those before it were told, unless it is now that their user goes.
    if (earlier !== previous && (same || earlier.until)) return;
    const until = same ? undefined : earlier.drain(this.#drain, () => this.#straggle(earlier));
    for (const connection of earlier.connections) apart(() => this.#driver.superseded(connection, until));
  }

  /** A lease ends soon, and with it the user. */
  #ending(era: Era<C>): void {
    // Better untried than over.
    if (era === this.#current && this.#candidate) this.#publish(this.#candidate);
    if (this.#superseded.has(era)) this.#straggle(era);
  }

  #straggle(era: Era<C>): void {
    const { path, serial, connections } = era;
    const count = [...connections].filter((one) => this.#driver.inUse?.(one) ?? true).length;
    if (count > 0) this.#reports.tell({ type: 'drain-timeout', path, serial, count });
    for (const connection of connections) this.#driver.end(connection, era);
  }

  #settle(era: Era<C>): void {
    const current = era === this.#current && (!this.#ended || this.#leaving);
    if (era.connections.size > 0 || current) return;
    this.#superseded.delete(era);
    era.release();
  }

  /** Whoever waits for other credentials looks again. */
  #resume(): void {
    for (const resume of this.#replacing) resume();
    this.#replacing.clear();
  }

  #drop(): void {
    clearTimeout(this.#retry);
    this.#candidate?.release();
    this.#candidate = undefined;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}

function noCredentials(): VaultError {
  return new VaultError({
    code: 'VAULT_CLOSED',
    message: 'The stream of credentials has completed: there are none to connect with.',
    hint: 'Create the pool while the application runs, and use it no longer than that.',
  });
}

function poolEnded(): VaultError {
  return new VaultError({
    code: 'VAULT_CLOSED',
    message: 'The pool has been ended: it opens no connections any more.',
    hint: 'Make a new pool, or open the library anew where it can be opened again.',
  });
}

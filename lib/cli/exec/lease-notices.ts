import { filter, firstValueFrom } from 'rxjs';
import { systemClock } from '../../clock/clock.js';
import { withTimeout } from '../../clock/with-timeout.js';
import type { VaultEvent } from '../../events/events.js';
import type { Vault } from '../../services/connect-vault.js';
import { inWords } from '../duration.js';

/** Milliseconds to wait until a lease is shortened. */
const SHORTENED_BY = 5_000;

/** Says how long the leases of a command live: at its start, and ahead of an end that comes before the command's. */
export class LeaseNotices {
  readonly #vault: Vault;
  readonly #paths: readonly string[];
  readonly #say: (line: string) => void;
  readonly #noticed = new Set<string>();

  constructor(vault: Vault, paths: Iterable<string>, say: (line: string) => void) {
    this.#vault = vault;
    this.#paths = [...new Set(paths)];
    this.#say = say;
  }

  /** @param ttl milliseconds, to which the leases are shortened */
  async start(ttl: number): Promise<void> {
    const { credentials } = this.#vault;
    await Promise.all(this.#paths.map((path) => this.#shortened(path, ttl)));
    for (const path of this.#paths) this.#sayLife(path);
    credentials.events$.subscribe((event) => this.#on(event));
  }

  /** Waits until a lease that is too long has been renewed with a shorter TTL. */
  async #shortened(path: string, ttl: number): Promise<void> {
    const lease = this.#vault.credentials.current(path)?.lease;
    const life = (lease?.validUntil.getTime() ?? 0) - (lease?.issuedAt.getTime() ?? 0);
    if (!lease?.renewable || life <= ttl + 1_000) return;
    const answered = this.#vault.credentials.events$.pipe(
      filter((event) => 'path' in event && event.path === path),
    );
    await withTimeout(firstValueFrom(answered), SHORTENED_BY, systemClock, () => new Error('late')).catch(
      () => {},
    );
  }

  #sayLife(path: string): void {
    const { credentials } = this.#vault;
    const lease = credentials.current(path)?.lease;
    const { validUntil, next } = credentials.status(path) ?? {};
    if (validUntil) {
      const left = inWords(validUntil.getTime() - systemClock.wall());
      const until = `${path}: leased until ${validUntil.toISOString()}`;
      if (!lease?.renewable) return this.#ends(path, 'it cannot be renewed');
      this.#say(
        `${until}, renewed as long as the command runs, and ended with it. ` +
          `If this process is killed (SIGKILL), the lease ends at most ${left} later.`,
      );
    } else if (next?.action === 'issue' && next.at)
      this.#say(
        `${path}: the server changes this password at ${next.at.toISOString()}; the command keeps the old one.`,
      );
  }

  #on(event: VaultEvent): void {
    const { credentials } = this.#vault;
    if (event.type === 'renewed' && event.capped) this.#ends(event.path, 'its max TTL');
    if (event.type === 'token-renewed' && event.capped) this.#end('the max TTL of the login');
    if (event.type === 'login') this.#end('another login took the place of the first');
    if (event.type === 'warning' && event.path !== undefined) {
      const lease = credentials.current(event.path)?.lease;
      if (lease?.renewable === false) this.#ends(event.path, 'it cannot be renewed');
    }
  }

  #end(reason: string): void {
    for (const path of this.#paths) this.#ends(path, reason);
  }

  /** Once for each path, if it has a lease. */
  #ends(path: string, reason: string): void {
    const { validUntil } = this.#vault.credentials.status(path) ?? {};
    if (!validUntil || this.#noticed.has(path)) return;
    this.#noticed.add(path);
    const left = inWords(validUntil.getTime() - systemClock.wall());
    this.#say(
      `${path}: the lease ends at ${validUntil.toISOString()}, in ${left} (${reason}). A running command cannot get ` +
        'new credentials: raise the TTLs of the role and of the login, or split the work.',
    );
  }
}

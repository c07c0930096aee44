import {
  gotNoResponse,
  isServerUnavailable,
  isTransient,
  type VaultError,
  type VaultErrorCode,
} from '../errors/vault-error.js';

/** A failed attempt. Times in milliseconds. */
export interface Failure {
  /** The attempt: the same text for each repetition of it. */
  readonly subject: string;
  /** The token or secret that it was for. */
  readonly of: string;
  readonly error: VaultError;
  readonly at: number;
  readonly retryAt: number;
}

/** What is known of a trouble when it ends. */
export interface TroubleSummary {
  readonly code: VaultErrorCode;
  /** Milliseconds since its first failure. */
  readonly duration: number;
  readonly failedAttempts: number;
  /** Tokens and secrets. */
  readonly affected: readonly string[];
}

interface Trouble {
  readonly cause: string;
  readonly code: VaultErrorCode;
  readonly since: number;
  /** Attempts that failed last, and have not succeeded since. */
  readonly failing: Set<string>;
  readonly affected: Set<string>;
  failedAttempts: number;
  /** A failure after this time is another trouble: the attempts between succeeded, or were given up. */
  until: number;
}

/** The cause of all failures in an outage. */
const SERVER = 'server';
/** These concern the way to the server, whatever the path. */
const EVERYWHERE = new Set<VaultErrorCode>([
  'VAULT_TLS_UNTRUSTED',
  'VAULT_PROXY_REFUSED',
  'VAULT_NOT_VAULT',
  'VAULT_RATE_LIMITED',
]);
/** Milliseconds that an attempt may take, and wait for its turn. */
const SLACK = 120_000;
/** Milliseconds between two searches for troubles that have ended: each of ten thousand paths may have one. */
const SEARCH_EVERY = 10_000;

/** The failures of one connection by their cause, so that each cause is reported once. */
export class Troubles {
  readonly #open = new Map<string, Trouble>();
  /** The troubles of an attempt. */
  readonly #of = new Map<string, Set<Trouble>>();
  #searchAt = -Infinity;
  /** The end of the last outage: errors of that time may be repeated after it. */
  #recoveredAt = -Infinity;

  /** The server is unreachable, which was reported. */
  unreachable(error: VaultError, at: number): void {
    this.#begin(SERVER, error.code, at);
  }

  /** The server is reachable again. */
  recovered(at: number): TroubleSummary | undefined {
    this.#recoveredAt = at;
    const trouble = this.#open.get(SERVER);
    if (trouble) this.#end(trouble);
    return trouble && summary(trouble, at);
  }

  /** @returns whether the cause is known */
  failed({ subject, of, error, at, retryAt }: Failure): boolean {
    const cause = this.#causeOf(error, of);
    this.#endOld(cause, at);
    if (cause === SERVER && !this.#open.has(cause) && at < this.#recoveredAt + SLACK) return true;
    const known = this.#open.get(cause);
    const trouble = known ?? this.#begin(cause, error.code, at);
    this.#add(subject, trouble);
    trouble.affected.add(of);
    trouble.failedAttempts++;
    trouble.until = Math.max(trouble.until, retryAt + SLACK);
    return known !== undefined;
  }

  /** Whether the cause of an error was reported, and has not ended. */
  explains(error: VaultError | undefined, of: string): boolean {
    return error !== undefined && this.#open.has(this.#causeOf(error, of));
  }

  /** Attempts have succeeded. @returns the troubles that ended with them; the end of an outage is {@link recovered} */
  succeeded(subjects: readonly string[], at: number): TroubleSummary[] {
    const touched = new Set<Trouble>();
    for (const subject of subjects) {
      for (const trouble of this.#of.get(subject) ?? []) {
        trouble.failing.delete(subject);
        touched.add(trouble);
      }
      this.#of.delete(subject);
    }
    const ended = [...touched].filter(({ cause, failing }) => failing.size === 0 && cause !== SERVER);
    for (const trouble of ended) this.#end(trouble);
    return ended.map((trouble) => summary(trouble, at));
  }

  #begin(cause: string, code: VaultErrorCode, at: number): Trouble {
    const before = this.#open.get(cause);
    if (before) this.#end(before);
    const trouble = {
      cause,
      code,
      since: at,
      failing: new Set<string>(),
      affected: new Set<string>(),
      failedAttempts: 0,
      until: at,
    };
    this.#open.set(cause, trouble);
    return trouble;
  }

  #add(subject: string, trouble: Trouble): void {
    trouble.failing.add(subject);
    const known = this.#of.get(subject);
    if (known) known.add(trouble);
    else this.#of.set(subject, new Set([trouble]));
  }

  #end(trouble: Trouble): void {
    this.#open.delete(trouble.cause);
    for (const subject of trouble.failing) {
      const all = this.#of.get(subject);
      all?.delete(trouble);
      if (all?.size === 0) this.#of.delete(subject);
    }
  }

  /** Ends the trouble of this cause, if its time is up, and now and then all others of this kind. */
  #endOld(cause: string, at: number): void {
    const known = this.#open.get(cause);
    const all = at >= this.#searchAt;
    if (all) this.#searchAt = at + SEARCH_EVERY;
    for (const trouble of all ? this.#open.values() : known ? [known] : [])
      if (trouble.cause !== SERVER && trouble.until < at) this.#end(trouble);
  }

  /**
   * The same text for failures that have one cause: a server that does not answer, a mount that fails, a path that the
   * policy does not allow. All renewals have one path.
   */
  #causeOf(error: VaultError, of: string): string {
    if (isServerUnavailable(error) || (gotNoResponse(error) && this.#open.has(SERVER))) return SERVER;
    if (EVERYWHERE.has(error.code)) return error.code;
    const path = error.path ?? of;
    return `${error.code} ${isTransient(error) ? path.split('/')[0] : path}`;
  }
}

function summary({ code, since, failedAttempts, affected }: Trouble, at: number): TroubleSummary {
  return { code, duration: at - since, failedAttempts, affected: [...affected] };
}

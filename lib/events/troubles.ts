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

/** How often a trouble has come, each time within {@link COMES_BACK} after its end. */
export interface Recurrence {
  readonly times: number;
  /** Milliseconds since it came for the first time. */
  readonly within: number;
}

/** What the line of a failure says. */
export interface Report {
  /** A line before names the cause. */
  readonly repeated: boolean;
  /** The cause comes and goes, so most of its lines are details from now on. */
  readonly recurrence?: Recurrence;
}

/** What is known of a trouble when it ends. */
export interface TroubleSummary {
  readonly ofServer: boolean;
  readonly code: VaultErrorCode;
  /** Milliseconds since its first failure. */
  readonly duration: number;
  readonly failedAttempts: number;
  /** Tokens and secrets. */
  readonly affected: readonly string[];
  /** It comes and goes. */
  readonly recurrence?: Recurrence;
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
  /** When it ended; undefined while it lasts. */
  endedAt: number | undefined;
  times: number;
  readonly firstAt: number;
  /** When a line named it last. */
  loggedAt: number;
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
/** A trouble that begins again so many milliseconds after its end has come back. */
export const COMES_BACK = 600_000;
/** A trouble that comes more often is logged once in {@link COMES_BACK}, as long as it comes back. */
const LOGGED_EACH_TIME = 3;
const KNOWN: Report = { repeated: true };

/** The failures of one connection by their cause, so that each cause is reported once. */
export class Troubles {
  /** Those that last, and those that ended lately. */
  readonly #all = new Map<string, Trouble>();
  /** The troubles of an attempt. */
  readonly #of = new Map<string, Set<Trouble>>();
  #searchAt = -Infinity;
  /** The end of the last outage: errors of that time may be repeated after it. */
  #recoveredAt = -Infinity;
  /** The trouble of the last request that got no answer, if the server has answered none since. */
  #unanswered: Trouble | undefined;

  /** The server is unreachable. */
  unreachable(error: VaultError, at: number): Report {
    const report = this.#begin(SERVER, error.code, at);
    const silence = this.#unanswered;
    if (silence && silence.endedAt === undefined) this.#join(silence);
    return report;
  }

  /** The server is reachable again. */
  recovered(at: number): TroubleSummary | undefined {
    this.#recoveredAt = at;
    this.#unanswered = undefined;
    const trouble = this.#open(SERVER);
    if (trouble) this.#end(trouble, at);
    return trouble && summary(trouble, at);
  }

  failed({ subject, of, error, at, retryAt }: Failure): Report {
    const cause = this.#causeOf(error, of, at);
    const last = this.#all.get(cause);
    if (last) this.#endIfOld(last, at);
    const known = this.#open(cause);
    if (cause === SERVER && !known && this.#isAfterOutage(at)) return KNOWN;
    const report = known ? logAgain(known, at) : this.#begin(cause, error.code, at);
    const trouble = this.#all.get(cause) as Trouble;
    this.#add(subject, trouble);
    trouble.affected.add(of);
    trouble.failedAttempts++;
    trouble.until = Math.max(trouble.until, retryAt + SLACK);
    if (error.status !== undefined) this.#unanswered = undefined;
    else if (error.code === 'VAULT_TIMEOUT' && cause !== SERVER) this.#unanswered = trouble;
    return report;
  }

  /** Whether the cause of an error was reported, and has not ended. */
  explains(error: VaultError | undefined, of: string, at: number): boolean {
    return error !== undefined && this.#open(this.#causeOf(error, of, at)) !== undefined;
  }

  /**
   * Attempts have succeeded, or are not made any more.
   *
   * @returns the troubles that ended with them; the end of an outage is {@link recovered}
   */
  succeeded(subjects: readonly string[], at: number): TroubleSummary[] {
    if (subjects.length === 0) return [];
    this.#unanswered = undefined;
    const touched = new Set<Trouble>();
    for (const subject of subjects) {
      for (const trouble of this.#of.get(subject) ?? []) {
        trouble.failing.delete(subject);
        touched.add(trouble);
      }
      this.#of.delete(subject);
    }
    const ended = [...touched].filter(({ cause, failing }) => failing.size === 0 && cause !== SERVER);
    for (const trouble of ended) this.#end(trouble, at);
    return ended.map((trouble) => summary(trouble, at));
  }

  /** Time has passed. @returns the troubles that came and went, and have not come back */
  calmed(at: number): TroubleSummary[] {
    if (at < this.#searchAt) return [];
    this.#searchAt = at + SEARCH_EVERY;
    const calm = [];
    for (const trouble of this.#all.values()) {
      this.#endIfOld(trouble, at);
      if (trouble.endedAt === undefined || at < trouble.endedAt + COMES_BACK) continue;
      this.#all.delete(trouble.cause);
      if (trouble.times > LOGGED_EACH_TIME) calm.push(summary(trouble, trouble.endedAt));
    }
    return calm;
  }

  #open(cause: string): Trouble | undefined {
    const trouble = this.#all.get(cause);
    return trouble?.endedAt === undefined ? trouble : undefined;
  }

  #begin(cause: string, code: VaultErrorCode, at: number): Report {
    const last = this.#all.get(cause);
    const before = at < (last?.endedAt ?? at) + COMES_BACK ? last : undefined;
    if (before && before.endedAt === undefined) this.#end(before, at);
    else if (before) before.times++;
    if (before && before.times > LOGGED_EACH_TIME + 1) {
      before.endedAt = undefined;
      return logAgain(before, at);
    }
    const trouble: Trouble = {
      cause,
      code,
      since: at,
      failing: new Set<string>(),
      affected: new Set<string>(),
      failedAttempts: 0,
      until: at,
      endedAt: undefined,
      times: before?.times ?? 1,
      firstAt: before?.firstAt ?? at,
      loggedAt: at,
    };
    this.#all.set(cause, trouble);
    return { repeated: false, ...comesBack(trouble, at) };
  }

  #add(subject: string, trouble: Trouble): void {
    trouble.failing.add(subject);
    const known = this.#of.get(subject);
    if (known) known.add(trouble);
    else this.#of.set(subject, new Set([trouble]));
  }

  /** The requests that got no answer were the first of an outage. */
  #join(silence: Trouble): void {
    const outage = this.#all.get(SERVER) as Trouble;
    for (const one of silence.affected) outage.affected.add(one);
    outage.failedAttempts += silence.failedAttempts;
    const failing = [...silence.failing];
    this.#end(silence, silence.since);
    this.#all.delete(silence.cause);
    for (const subject of failing) this.#add(subject, outage);
  }

  #end(trouble: Trouble, at: number): void {
    trouble.endedAt = at;
    for (const subject of trouble.failing) {
      const all = this.#of.get(subject);
      all?.delete(trouble);
      if (all?.size === 0) this.#of.delete(subject);
    }
    trouble.failing.clear();
  }

  /** Whether a failure may be one of the outage that has ended. */
  #isAfterOutage(at: number): boolean {
    return at < this.#recoveredAt + SLACK;
  }

  /** Ends a trouble whose attempts have succeeded, or were given up, without an event. */
  #endIfOld(trouble: Trouble, at: number): void {
    const { cause, endedAt, until } = trouble;
    if (cause !== SERVER && endedAt === undefined && until < at) this.#end(trouble, until);
  }

  /**
   * The same text for failures that have one cause: a server that does not answer, a mount that fails, a path that the
   * policy does not allow. All renewals have one path. Requests that get no answer have one cause as long as the server
   * answers no other one.
   */
  #causeOf(error: VaultError, of: string, at: number): string {
    const outage = this.#open(SERVER) !== undefined || this.#isAfterOutage(at);
    if (isServerUnavailable(error) || (gotNoResponse(error) && outage)) return SERVER;
    if (EVERYWHERE.has(error.code)) return error.code;
    const path = error.path ?? of;
    const own = `${error.code} ${isTransient(error) ? path.split('/')[0] : path}`;
    const silence = error.code === 'VAULT_TIMEOUT' && !this.#open(own) ? this.#unanswered : undefined;
    return silence?.endedAt === undefined ? (silence?.cause ?? own) : own;
  }
}

/** A trouble that lasts: a line says so again if it comes and goes, and no line has for long. */
function logAgain(trouble: Trouble, at: number): Report {
  if (trouble.times <= LOGGED_EACH_TIME || at < trouble.loggedAt + COMES_BACK) return KNOWN;
  trouble.loggedAt = at;
  return { repeated: false, ...comesBack(trouble, at) };
}

function comesBack({ times, firstAt }: Trouble, at: number): { recurrence?: Recurrence } {
  return times > LOGGED_EACH_TIME ? { recurrence: { times, within: at - firstAt } } : {};
}

function summary(trouble: Trouble, at: number): TroubleSummary {
  const { cause, code, since, failedAttempts, affected } = trouble;
  return {
    ofServer: cause === SERVER,
    code,
    duration: at - since,
    failedAttempts,
    affected: [...affected],
    ...comesBack(trouble, at),
  };
}

import { isTransient } from '../errors/vault-error.js';
import { describeEvent, inUnit, type LineContext } from './describe-event.js';
import type { VaultEvent } from './events.js';
import type { VaultLogCode } from './log-lines.js';
import { VaultLogLine, type LogLineMembers } from './log-line.js';
import { COMES_BACK, Troubles, type Report, type TroubleSummary } from './troubles.js';

/** Milliseconds in which the same line of another pool says nothing new. */
const OTHER_POOLS = 30_000;
/** Milliseconds until a failed revocation has been tried again. */
const REVOKED_AGAIN = 120_000;
const TOKEN = 'the token';

/** Warnings whose cause is the policy or the role of the token, so that each further path says nothing new. */
const OF_TOKEN: ReadonlySet<string> = new Set<VaultLogCode>(['renewal-denied', 'lease-cut-short']);

/** Decides which lines an event makes, so that each cause is reported once. */
export class LogPolicy {
  readonly #connections = new Map<string, ConnectionLog>();

  /** The lines of an event, in their order. */
  lines(event: VaultEvent): VaultLogLine[] {
    const { connection } = event;
    let log = this.#connections.get(connection);
    if (!log) this.#connections.set(connection, (log = new ConnectionLog()));
    if (event.type === 'closed') this.#connections.delete(connection);
    return log.lines(event);
  }
}

/** What was logged for one connection. */
class ConnectionLog {
  readonly #troubles = new Troubles();
  /** Until when each text that was logged says nothing new. */
  readonly #logged = new Map<string, number>();
  #closing = false;

  lines(event: VaultEvent): VaultLogLine[] {
    const at = event.at.getTime();
    if (event.type === 'closing') this.#closing = true;
    const { connection } = event;
    const calm = this.#troubles.calmed(at).map((trouble) => stayedAway(connection, trouble));
    if (event.type === 'vault-recovered') return [...calm, recovered(event, this.#troubles.recovered(at))];
    const line = describeEvent(event, this.#contextOf(event, at));
    const ended = this.#troubles.succeeded(attemptsEndedBy(event), at);
    return [...calm, line, ...ended.map((trouble) => failuresEnded(connection, trouble))];
  }

  #contextOf(event: VaultEvent, at: number): LineContext {
    switch (event.type) {
      case 'vault-unreachable':
        return this.#troubles.unreachable(event.error, at);
      case 'login-failed':
        // Its caller gets the error, and the first login of an application fails its start.
        if (event.sequence === 0 && !isTransient(event.error)) return { repeated: true };
        return this.#failed('login', TOKEN, event, at);
      case 'token-renewal-failed':
        return this.#failed('renew', TOKEN, event, at);
      case 'renewal-failed':
        return this.#failed('renew', event.path, event, at);
      case 'rotation-failed':
        return this.#failed('issue', event.path, event, at);
      case 'secret-read-failed':
        return this.#failed('read', event.path, event, at);
      case 'expired':
        return { explained: this.#troubles.explains(event.error, event.path, at) };
      case 'token-ended':
        return {
          repeated:
            event.how === 'revoke-failed' && this.#isRepeated(`token ${event.sequence}`, at, REVOKED_AGAIN),
        };
      case 'warning':
        return { repeated: OF_TOKEN.has(event.code) && this.#isRepeated(event.code, at, Infinity) };
      case 'pool-warning':
        // Several pools may have the credentials.
        return { repeated: this.#isRepeated(`${event.pool} ${event.message}`, at, OTHER_POOLS) };
      case 'retired':
        return { closing: this.#closing };
      default:
        return {};
    }
  }

  #failed(
    attempt: string,
    of: string,
    { error, retryAt }: Extract<VaultEvent, { retryAt: Date }>,
    at: number,
  ): Report {
    return this.#troubles.failed({ subject: `${attempt} ${of}`, of, error, at, retryAt: retryAt.getTime() });
  }

  #isRepeated(text: string, at: number, within: number): boolean {
    for (const [known, until] of this.#logged) if (until < at) this.#logged.delete(known);
    const repeated = this.#logged.has(text);
    this.#logged.set(text, at + within);
    return repeated;
  }
}

/** The attempts whose failures no longer matter. */
function attemptsEndedBy(event: VaultEvent): string[] {
  switch (event.type) {
    case 'login':
      return [`login ${TOKEN}`, `renew ${TOKEN}`];
    case 'token-renewed':
      return [`renew ${TOKEN}`];
    case 'renewed':
      return [`renew ${event.path}`];
    case 'issued':
    case 'rotated':
      return [`renew ${event.path}`, `issue ${event.path}`];
    case 'secret-recovered':
    case 'secret-changed':
    // The server has answered.
    case 'secret-gone':
      return [`read ${event.path}`];
    case 'released':
      return [`renew ${event.path}`, `issue ${event.path}`, `read ${event.path}`];
    default:
      return [];
  }
}

function recovered(
  event: Extract<VaultEvent, { type: 'vault-recovered' }>,
  trouble: TroubleSummary | undefined,
): VaultLogLine {
  if (!trouble || trouble.failedAttempts === 0 || trouble.recurrence)
    return describeEvent(event, { repeated: trouble?.recurrence !== undefined });
  const { connection, after: duration } = event;
  return new VaultLogLine(
    'vault-recovered',
    `the server is reachable again, after ${inUnit(duration)}, in which ${attempts(trouble)} failed`,
    { connection, duration, ...countsOf(trouble) },
  );
}

function failuresEnded(connection: string, trouble: TroubleSummary): VaultLogLine {
  const { code, duration, recurrence } = trouble;
  return new VaultLogLine(
    'failures-ended',
    `${subjectOf(trouble)}no more failures with ${code}, after ${inUnit(duration)}, in which ${attempts(trouble)} failed`,
    { connection, ...causeOf(trouble), duration, ...countsOf(trouble) },
    recurrence ? 'debug' : undefined,
  );
}

/** The line of a trouble that came and went, and has not come back. */
function stayedAway(connection: string, trouble: TroubleSummary): VaultLogLine {
  const { code, ofServer, failedAttempts, recurrence = { times: 1, within: 0 } } = trouble;
  const { times, within: duration } = recurrence;
  const calm = inUnit(COMES_BACK);
  const text = ofServer
    ? `the server has been reachable for ${calm}, after ${times} outages in ${inUnit(duration)}`
    : `${subjectOf(trouble)}no more failures with ${code} for ${calm}, after they came ${times} times in ${inUnit(duration)}`;
  return new VaultLogLine(
    ofServer ? 'vault-recovered' : 'failures-ended',
    failedAttempts === 0 ? text : `${text}, in which ${attempts(trouble)} failed`,
    { connection, ...(!ofServer && causeOf(trouble)), duration, times, ...countsOf(trouble) },
  );
}

/** The beginning of a text about a single token or secret. */
function subjectOf({ affected: [first = TOKEN, ...others] }: TroubleSummary): string {
  return others.length === 0 ? `${first}: ` : '';
}

function causeOf({ code: errorCode, affected: [first = TOKEN, ...others] }: TroubleSummary): LogLineMembers {
  return { ...(others.length === 0 && first !== TOKEN && { path: first }), errorCode };
}

function countsOf({ failedAttempts, affected }: TroubleSummary): LogLineMembers {
  return { failedAttempts, affected: affected.length };
}

function attempts({ failedAttempts, affected }: TroubleSummary): string {
  const times = failedAttempts === 1 ? '1 attempt' : `${failedAttempts} attempts`;
  return affected.length === 1 ? times : `${times} for ${affected.length} tokens and secrets`;
}

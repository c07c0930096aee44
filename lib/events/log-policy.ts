import { isTransient } from '../errors/vault-error.js';
import { describeEvent, inUnit, type LineContext } from './describe-event.js';
import type { VaultEvent } from './events.js';
import type { VaultLogCode } from './log-lines.js';
import { VaultLogLine, type LogLineMembers } from './log-line.js';
import { Troubles, type TroubleSummary } from './troubles.js';

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
    if (event.type === 'vault-unreachable') this.#troubles.unreachable(event.error, at);
    if (event.type === 'vault-recovered') return [recovered(event, this.#troubles.recovered(at))];
    const line = describeEvent(event, this.#contextOf(event, at));
    const ended = this.#troubles.succeeded(attemptsEndedBy(event), at);
    return [line, ...ended.map((trouble) => failuresEnded(event.connection, trouble))];
  }

  #contextOf(event: VaultEvent, at: number): LineContext {
    switch (event.type) {
      case 'login-failed':
        // Its caller gets the error, and the first login of an application fails its start.
        if (event.sequence === 0 && !isTransient(event.error)) return { repeated: true };
        return { repeated: this.#failed('login', TOKEN, event, at) };
      case 'token-renewal-failed':
        return { repeated: this.#failed('renew', TOKEN, event, at) };
      case 'renewal-failed':
        return { repeated: this.#failed('renew', event.path, event, at) };
      case 'rotation-failed':
        return { repeated: this.#failed('issue', event.path, event, at) };
      case 'secret-read-failed':
        return { repeated: this.#failed('read', event.path, event, at) };
      case 'expired':
        return { explained: this.#troubles.explains(event.error, event.path) };
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
  ): boolean {
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
      return [`read ${event.path}`];
    default:
      return [];
  }
}

function recovered(
  event: Extract<VaultEvent, { type: 'vault-recovered' }>,
  trouble: TroubleSummary | undefined,
): VaultLogLine {
  if (!trouble || trouble.failedAttempts === 0) return describeEvent(event);
  const { connection, after: duration } = event;
  return new VaultLogLine(
    'vault-recovered',
    `the server is reachable again, after ${inUnit(duration)}, in which ${attempts(trouble)} failed`,
    { connection, duration, ...countsOf(trouble) },
  );
}

function failuresEnded(connection: string, trouble: TroubleSummary): VaultLogLine {
  const { code: errorCode, duration, affected } = trouble;
  const [first = TOKEN] = affected;
  const one = affected.length === 1;
  return new VaultLogLine(
    'failures-ended',
    `${one ? `${first}: ` : ''}no more failures with ${errorCode}, after ${inUnit(duration)}, in which ` +
      `${attempts(trouble)} failed`,
    { connection, ...(one && first !== TOKEN && { path: first }), errorCode, duration, ...countsOf(trouble) },
  );
}

function countsOf({ failedAttempts, affected }: TroubleSummary): LogLineMembers {
  return { failedAttempts, affected: affected.length };
}

function attempts({ failedAttempts, affected }: TroubleSummary): string {
  const times = failedAttempts === 1 ? '1 attempt' : `${failedAttempts} attempts`;
  return affected.length === 1 ? times : `${times} for ${affected.length} tokens and secrets`;
}

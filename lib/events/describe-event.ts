import type { VaultError } from '../errors/vault-error.js';
import type { VaultEvent } from './events.js';
import { ends } from './expiry.js';
import { VaultLogLine, type LogLineMembers } from './log-line.js';
import { LOG_LINES, type LogLevel, type VaultLogCode } from './log-lines.js';
import type { NextStep } from './next-step.js';
import { COMES_BACK, type Recurrence } from './troubles.js';

/** A shorter TTL in milliseconds means more than one renewal a minute, as one comes at two thirds of it. */
const LONG_TTL = 90_000;

/** Circumstances of an event that decide about its line. */
export interface LineContext {
  /** A line before has the same cause, so this one is for who looks closely. */
  readonly repeated?: boolean;
  /** Its cause comes and goes. */
  readonly recurrence?: Recurrence;
  /** A line before has the whole error. */
  readonly explained?: boolean;
  /** The connection ends. */
  readonly closing?: boolean;
}

/** The line of an event. */
export function describeEvent(event: VaultEvent, context: LineContext = {}): VaultLogLine {
  const { code, text, level = LOG_LINES[code], ...members } = describe(event, context);
  const { connection } = event;
  const { repeated, recurrence } = context;
  if (recurrence) {
    const { times } = recurrence;
    return new VaultLogLine(code, text + comesBack(recurrence), { connection, ...members, times }, level);
  }
  return new VaultLogLine(code, text, { connection, ...members }, repeated ? 'debug' : level);
}

function comesBack({ times, within }: Recurrence): string {
  return ` It has come ${times} times in ${inUnit(within)}; as long as it comes back, one line in ${inUnit(COMES_BACK)} says so.`;
}

interface Description extends LogLineMembers {
  code: VaultLogCode;
  text: string;
  level?: LogLevel;
}

function describe(event: VaultEvent, { explained, closing }: LineContext): Description {
  const { type } = event;
  switch (type) {
    case 'login':
    case 'token-renewed': {
      const { sequence: token } = event;
      const life = lifeOf(event);
      const what =
        type === 'login' ? `logged in (${event.reason}), token ${token}` : `token ${token} renewed`;
      return {
        code: type,
        text: what + inWords(life),
        token,
        ...(type === 'login' ? { reason: event.reason } : levelOfRenewal(event.ttl)),
        ...life,
      };
    }
    case 'login-failed':
    case 'token-renewal-failed': {
      const { sequence: token, attempt } = event;
      const next = type === 'login-failed' ? 'login' : 'renew';
      // Without a token there is no scheduled attempt: the start or the next request decides.
      const again = token > 0 ? ({ token, next, nextAt: event.retryAt.toISOString() } as const) : {};
      return {
        code: type,
        text: failed(type, again.nextAt, event.error),
        ...again,
        attempt,
        ...causedBy(event.error),
      };
    }
    case 'token-ended': {
      const { sequence: token, how: reason } = event;
      const code = reason === 'revoke-failed' ? 'token-revoke-failed' : type;
      return { code, text: `token ${token} ${TOKEN_ENDS[reason]}`, token, reason };
    }
    case 'issued':
    case 'renewed':
    case 'rotated': {
      const { path, serial: lease } = event;
      const life = lifeOf(event);
      const verb = type === 'rotated' ? `rotated (${event.reason})` : type;
      return {
        code: type,
        text: `${path}: ${verb}, lease ${lease}${inWords(life)}`,
        path,
        lease,
        ...(type === 'rotated' && { reason: event.reason }),
        ...(type === 'renewed' && levelOfRenewal(event.ttl)),
        // A lease that replaces another one is logged as a rotation.
        ...(type === 'issued' && lease > 1 && { level: 'debug' as const }),
        ...life,
      };
    }
    case 'renewal-failed':
    case 'rotation-failed':
    case 'secret-read-failed': {
      const { path, error, attempt } = event;
      const nextAt = event.retryAt.toISOString();
      const next = type === 'renewal-failed' ? 'renew' : type === 'rotation-failed' ? 'issue' : 'read';
      return {
        code: type,
        text: `${path}: ${failed(type, nextAt, error)}`,
        path,
        ...(type === 'renewal-failed' && { lease: event.serial }),
        ...(type === 'rotation-failed' && { reason: event.reason }),
        ...('validUntil' in event && event.validUntil && until(event.validUntil)),
        next,
        nextAt,
        attempt,
        ...causedBy(error),
      };
    }
    case 'drained': {
      const { path, serial: lease } = event;
      return { code: type, text: `${path}: no consumer uses lease ${lease} any more`, path, lease };
    }
    case 'retired': {
      const { path, serial: lease, how: reason } = event;
      // The line of the token, or of the shutdown, says the same for all of them.
      const level = closing || reason === 'with-token' ? ({ level: 'debug' } as const) : {};
      return {
        code: type,
        text: `${path}: lease ${lease} ${LEASE_ENDS[reason]}`,
        path,
        lease,
        reason,
        ...level,
      };
    }
    case 'expired': {
      const { path, serial: lease, error } = event;
      const why = !error ? '' : explained ? ` (${error.code})` : `: ${error.message}`;
      return {
        code: type,
        text: `${path}: expired, no valid credential${why}`,
        path,
        lease,
        ...causedBy(error),
      };
    }
    case 'secret-changed':
    case 'secret-recovered': {
      const { path, version } = event;
      const verb = type === 'secret-changed' ? 'changed' : 'can be read again';
      const number = version === undefined ? {} : { version };
      return {
        code: type,
        text: `${path}: ${verb}${version ? `, version ${version}` : ''}`,
        path,
        ...number,
      };
    }
    case 'secret-gone': {
      const { path, error } = event;
      return {
        code: type,
        text: `${path}: gone from the server: ${error.message}`,
        path,
        ...causedBy(error),
      };
    }
    case 'secret-invalid': {
      const { path, version, error } = event;
      const text = `${path}: the new value is not used, the last one stays: ${error.message}`;
      return { code: type, text, path, ...(version !== undefined && { version }), ...causedBy(error) };
    }
    case 'warning': {
      const { code, path, message } = event;
      return {
        code,
        text: path === undefined ? message : `${path}: ${message}`,
        ...(path !== undefined && { path }),
      };
    }
    case 'notice':
      return { code: 'auth-method-notice', text: event.message };
    case 'pool-warning': {
      const { pool, path, serial: lease, reason, message } = event;
      const code = reason === 'warning' ? type : (`pool-${reason}` as const);
      return { code, text: `pool of ${pool}: ${message}`, pool, path, lease };
    }
    case 'tls-reloaded': {
      const { files } = event;
      return {
        code: type,
        text: `the TLS files have changed; new connections use them: ${files.join(', ')}`,
        files,
      };
    }
    case 'vault-unreachable':
      return {
        code: type,
        text: `the server is unreachable: ${event.error.message}`,
        ...causedBy(event.error),
      };
    case 'vault-recovered':
      return {
        code: type,
        text: `the server is reachable again, after ${inUnit(event.after)}`,
        duration: event.after,
      };
    case 'released': {
      const { path } = event;
      return { code: type, text: `${path}: the application does not use it any more`, path };
    }
    case 'closing':
      return { code: type, text: 'ends its leases and tokens' };
    case 'closed':
      return { code: type, text: 'has ended' };
  }
}

/** Milliseconds in the unit that a person reads. */
export function inUnit(milliseconds: number): string {
  const seconds = milliseconds / 1_000;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  return seconds < 7_200 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}

function failed(type: string, nextAt: string | undefined, error: VaultError): string {
  return `${type}${nextAt === undefined ? '' : `, next attempt ${shortDate(nextAt)}`}: ${error.message}`;
}

function causedBy(error: VaultError | undefined): Pick<LogLineMembers, 'errorCode' | 'status'> {
  return error ? { errorCode: error.code, ...(error.status !== undefined && { status: error.status }) } : {};
}

function levelOfRenewal(ttl: number): { level?: LogLevel } {
  return ttl < LONG_TTL ? { level: 'debug' } : {};
}

/** A token or secret without expiry has no date. */
function until(date: Date): Pick<LogLineMembers, 'validUntil'> {
  return ends(date) ? { validUntil: date.toISOString() } : {};
}

/** The end and the next step. */
type Life = Pick<LogLineMembers, 'validUntil' | 'next' | 'nextAt'>;

function lifeOf({ validUntil, next: { action, at } }: { validUntil: Date; next: NextStep }): Life {
  const next = action === 'none' || !at ? {} : { next: action, nextAt: at.toISOString() };
  return { ...until(validUntil), ...next };
}

/** The same as the end of a sentence. */
function inWords({ validUntil: end, next, nextAt }: Life): string {
  const life = end === undefined ? ' without expiry' : ` until ${shortDate(end)}`;
  if (next === undefined || nextAt === undefined) return life;
  // Its own TTL is longer than that of its token, whose renewal extends it.
  if (end !== undefined && nextAt > end) return `${life}, the end of its token`;
  return `${life}, ${STEPS[next]} at ${shortDate(nextAt)}`;
}

/** An ISO date without milliseconds. */
function shortDate(date: string): string {
  return date.replace(/\.\d+Z$/, 'Z');
}

const STEPS: Record<NonNullable<Life['next']>, string> = {
  login: 'next login',
  renew: 'next renewal',
  issue: 'next lease',
  retire: 'end',
  read: 'next read',
};

const TOKEN_ENDS: Record<Extract<VaultEvent, { type: 'token-ended' }>['how'], string> = {
  'revoke-requested': 'revoked, with all its leases',
  'revoke-failed': 'could not be revoked; it ends with its TTL, unless a later attempt succeeds',
  given: 'is not revoked: it was given to this application, or `shutdown.revoke` is false',
  batch: 'is a batch token, which cannot be revoked: it ends with its TTL',
  expired: 'expired',
};

const LEASE_ENDS: Record<Extract<VaultEvent, { type: 'retired' }>['how'], string> = {
  asked: 'is not used any more, and the server ends it',
  expired: 'is not used any more, and has expired',
  'with-token': 'has ended with its token',
};

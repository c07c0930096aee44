import type { VaultError } from '../errors/vault-error.js';
import type { VaultEvent } from './events.js';
import { ends } from './expiry.js';
import { VaultLogLine, type LogLineMembers } from './log-line.js';
import { LOG_LINES, type LogLevel, type VaultLogCode } from './log-lines.js';
import type { NextStep } from './next-step.js';
import { COMES_BACK, type Recurrence } from './troubles.js';

/** A shorter TTL in milliseconds means more than one renewal a minute, as one comes at two thirds of it. */
const LONG_TTL = 90_000;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

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
  const { code, text, members, level = LOG_LINES[code] } = describe(event, context);
  const { connection } = event;
  const { repeated, recurrence } = context;
  // A spread takes ten times as long.
  const all = Object.assign({ connection }, members, recurrence && { times: recurrence.times });
  const message = recurrence ? text + comesBack(recurrence) : text;
  return new VaultLogLine(code, message, all, repeated ? 'debug' : level);
}

function comesBack({ times, within }: Recurrence): string {
  return ` It has come ${times} times in ${inUnit(within)}; as long as it comes back, one line in ${inUnit(COMES_BACK)} says so.`;
}

interface Description {
  readonly code: VaultLogCode;
  readonly text: string;
  /** All but the connection. */
  readonly members?: LogLineMembers;
  /** If it is not the one of the code. */
  readonly level?: LogLevel | undefined;
}

function describe(event: VaultEvent, { explained, closing }: LineContext): Description {
  const { type } = event;
  switch (type) {
    case 'login':
    case 'token-renewed': {
      const { sequence: token } = event;
      const members: Mutable<LogLineMembers> = { token };
      if (type === 'login') members.reason = event.reason;
      const life = addLife(members, event);
      const what =
        type === 'login' ? `logged in (${event.reason}), token ${token}` : `token ${token} renewed`;
      return { code: type, text: what + life, members, level: lowerLevel(event) };
    }
    case 'login-failed':
    case 'token-renewal-failed': {
      const { sequence: token, attempt } = event;
      const next = type === 'login-failed' ? 'login' : 'renew';
      // Without a token there is no scheduled attempt: the start or the next request decides.
      const again = token > 0 ? ({ token, next, nextAt: event.retryAt.toISOString() } as const) : {};
      const text = failed(type, again.nextAt, event.error);
      return { code: type, text, members: { ...again, attempt, ...causedBy(event.error) } };
    }
    case 'token-ended': {
      const { sequence: token, how: reason } = event;
      const code = reason === 'revoke-failed' ? 'token-revoke-failed' : type;
      return { code, text: `token ${token} ${TOKEN_ENDS[reason]}`, members: { token, reason } };
    }
    case 'issued':
    case 'renewed':
    case 'rotated': {
      const { path, serial: lease } = event;
      const members: Mutable<LogLineMembers> = { path, lease };
      if (type === 'rotated') members.reason = event.reason;
      const life = addLife(members, event);
      const verb = type === 'rotated' ? `rotated (${event.reason})` : type;
      const text = `${path}: ${verb}, lease ${lease}${life}`;
      return { code: type, text, members, level: lowerLevel(event) };
    }
    case 'renewal-failed':
    case 'rotation-failed':
    case 'secret-read-failed': {
      const { path, error, attempt } = event;
      const nextAt = event.retryAt.toISOString();
      const next = type === 'renewal-failed' ? 'renew' : type === 'rotation-failed' ? 'issue' : 'read';
      const members = {
        path,
        ...(type === 'renewal-failed' && { lease: event.serial }),
        ...(type === 'rotation-failed' && { reason: event.reason }),
        ...('validUntil' in event && event.validUntil && until(event.validUntil)),
        next,
        nextAt,
        attempt,
        ...causedBy(error),
      } as const;
      return { code: type, text: `${path}: ${failed(type, nextAt, error)}`, members };
    }
    case 'drained': {
      const { path, serial: lease } = event;
      return {
        code: type,
        text: `${path}: no consumer uses lease ${lease} any more`,
        members: { path, lease },
      };
    }
    case 'retired': {
      const { path, serial: lease, how: reason } = event;
      // The line of the token, or of the shutdown, says the same for all of them.
      const level = closing || reason === 'with-token' ? 'debug' : undefined;
      const text = `${path}: lease ${lease} ${LEASE_ENDS[reason]}`;
      return { code: type, text, members: { path, lease, reason }, level };
    }
    case 'expired': {
      const { path, serial: lease, error } = event;
      const why = !error ? '' : explained ? ` (${error.code})` : `: ${error.message}`;
      const text = `${path}: expired, no valid credential${why}`;
      return { code: type, text, members: { path, lease, ...causedBy(error) } };
    }
    case 'secret-changed':
    case 'secret-recovered': {
      const { path, version } = event;
      const verb = type === 'secret-changed' ? 'changed' : 'can be read again';
      const text = `${path}: ${verb}${version ? `, version ${version}` : ''}`;
      return { code: type, text, members: { path, ...(version !== undefined && { version }) } };
    }
    case 'secret-gone': {
      const { path, error } = event;
      const text = `${path}: gone from the server: ${error.message}`;
      return { code: type, text, members: { path, ...causedBy(error) } };
    }
    case 'secret-invalid': {
      const { path, version, error } = event;
      const text = `${path}: the new value is not used, the last one stays: ${error.message}`;
      const members = { path, ...(version !== undefined && { version }), ...causedBy(error) };
      return { code: type, text, members };
    }
    case 'warning': {
      const { code, path, message } = event;
      if (path === undefined) return { code, text: message };
      return { code, text: `${path}: ${message}`, members: { path } };
    }
    case 'notice':
      return { code: 'auth-method-notice', text: event.message };
    case 'pool-warning': {
      const { pool, path, serial: lease, reason, message } = event;
      const code = reason === 'warning' ? type : (`pool-${reason}` as const);
      return { code, text: `pool of ${pool}: ${message}`, members: { pool, path, lease } };
    }
    case 'tls-reloaded': {
      const { files } = event;
      const text = `the TLS files have changed; new connections use them: ${files.join(', ')}`;
      return { code: type, text, members: { files } };
    }
    case 'vault-unreachable': {
      const { error } = event;
      return { code: type, text: `the server is unreachable: ${error.message}`, members: causedBy(error) };
    }
    case 'vault-recovered': {
      const { after: duration } = event;
      const text = `the server is reachable again, after ${inUnit(duration)}`;
      return { code: type, text, members: { duration } };
    }
    case 'released': {
      const { path } = event;
      return { code: type, text: `${path}: the application does not use it any more`, members: { path } };
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

/** The level of a line that says nothing new. */
function lowerLevel(event: Extract<VaultEvent, { next: NextStep }>): LogLevel | undefined {
  // A lease that replaces another one is logged as a rotation.
  const superfluous = event.type === 'issued' ? event.serial > 1 : 'ttl' in event && event.ttl < LONG_TTL;
  return superfluous ? 'debug' : undefined;
}

/** A token or secret without expiry has no date. */
function until(date: Date): Pick<LogLineMembers, 'validUntil'> {
  return ends(date) ? { validUntil: date.toISOString() } : {};
}

/** Adds the end and the next step to the members; returns both as the end of a sentence. */
function addLife(
  members: Mutable<LogLineMembers>,
  { validUntil, next: { action, at } }: { readonly validUntil: Date; readonly next: NextStep },
): string {
  let life = ' without expiry';
  if (ends(validUntil)) {
    members.validUntil = validUntil.toISOString();
    life = ` until ${shortDate(members.validUntil)}`;
  }
  if (action === 'none' || !at) return life;
  members.next = action;
  members.nextAt = at.toISOString();
  // Its own TTL is longer than that of its token, whose renewal extends it.
  if (at > validUntil) return `${life}, the end of its token`;
  return `${life}, ${STEPS[action]} at ${shortDate(members.nextAt)}`;
}

/** An ISO date without milliseconds. */
function shortDate(date: string): string {
  return `${date.slice(0, -'.000Z'.length)}Z`;
}

const STEPS: Record<NonNullable<LogLineMembers['next']>, string> = {
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

import { ends } from '../events/expiry.js';
import { printable } from '../errors/printable.js';
import type { NextStep } from '../events/next-step.js';
import type { EndingLease, LeaseStatus, PoolStatus, SecretStatus, SessionStatus } from '../events/status.js';
import { duration, shareOfTime, type Tone } from './format.js';

/** One line of the block, before its layout. */
export interface Row {
  kind: 'token' | 'lease' | 'secret' | 'pool' | '';
  name: string;
  /** Follows the name and is never cut. */
  mark: string;
  tone: Tone;
  /** The filled share of the bar, 0 to 1; a row without it has no bar. */
  filled?: number;
  time: string;
  next: string;
  why: string;
}

const VERBS: Record<NextStep['action'], string> = {
  login: 'log in',
  renew: 'renew',
  issue: 'rotate',
  retire: 'end',
  read: 'read',
  none: '',
};

/** Reasons of a step; the others are obvious beside the rest of the row. */
const REASONS: Readonly<Record<string, string>> = {
  'not-renewable': 'not renewable',
  token: 'there is a newer token',
  'token-lost': 'the server lost it',
  'lease-lost': 'the server lost it',
  rejected: 'rejected by its server',
  'renewal-failing': 'renewals fail',
  'issue-limit': 'too many issued',
  server: 'rotated by the server',
  uses: 'no uses left',
  source: 'its source has another one',
};

const END_REASONS: Readonly<Record<string, string>> = { token: 'ends with its token', 'max-ttl': 'max TTL' };

/** The token of a connection. */
export function tokenRow(session: SessionStatus, now: number): Row {
  const { state, sequence, next, attempt } = session;
  const none = sequence === 0 ? 'none yet' : 'no end';
  return {
    kind: 'token',
    name: '',
    mark: sequence > 0 ? `#${sequence}` : '',
    tone: TONES[state],
    ...timeLeft(session, now, none),
    next: nextText(next, attempt, now),
    why: whyText(session),
  };
}

/** A lease, and below it those that it superseded. */
export function leaseRows(lease: LeaseStatus, now: number): Row[] {
  const { path, serial, state, attempt, ending, drain, next } = lease;
  const step = state === 'pending' ? 'issue' : VERBS[next.action];
  const tooLong = drain && `drain needs ${duration(drain.needed)}, ${duration(drain.allowed)} fit`;
  const row: Row = {
    kind: 'lease',
    name: printable(path),
    mark: serial === undefined ? '' : ` #${serial}`,
    tone: TONES[state],
    ...timeLeft(lease, now, state === 'pending' ? 'none yet' : 'no end'),
    next: nextText(next, attempt, now, step),
    why: [whyText(lease), tooLong].filter(Boolean).join(', '),
  };
  return [row, ...ending.map((one) => endingRow(one, now))];
}

function endingRow(lease: EndingLease, now: number): Row {
  return {
    kind: '',
    name: '└',
    mark: ` #${lease.serial}`,
    tone: 'end',
    ...timeLeft(lease, now, 'no end'),
    next: lease.held ? 'in use' : 'ends',
    why: 'superseded',
  };
}

/** A watched secret. */
export function secretRow(secret: SecretStatus, now: number): Row {
  const { path, state, version, next, attempt, error } = secret;
  return {
    kind: 'secret',
    name: printable(path),
    mark: version === undefined ? '' : ` v${version}`,
    tone: TONES[state],
    time: state,
    next: nextText(next, attempt, now),
    why: error ? failed(attempt, error.code) : '',
  };
}

/** A pool: the bar is the share of its connections that use the current credentials. */
export function poolRow(pool: PoolStatus, now: number): Row {
  const { driver, path, serial, connections, superseded, drains, lastRefusal, rejectedSince } = pool;
  const total = connections + superseded;
  const until = Math.min(...drains.map((one) => one.until.getTime()));
  const refused =
    rejectedSince !== undefined ||
    (lastRefusal !== undefined && lastRefusal.serial === serial && connections === 0);
  const how = rejectedSince
    ? `logins rejected for ${duration(now - rejectedSince.getTime())}`
    : 'login failed';
  return {
    kind: 'pool',
    name: printable(`${driver} ${path}`),
    mark: serial === undefined ? '' : ` #${serial}`,
    tone: refused ? 'bad' : superseded > 0 ? 'end' : 'good',
    ...(total > 0 && { filled: connections / total }),
    time: superseded > 0 ? `${connections} new, ${superseded} old` : `${connections} open`,
    next: until < Infinity ? `close in ${duration(Math.max(0, until - now))}` : '',
    why: refused ? `${how}${lastRefusal ? `: ${printable(lastRefusal.code)}` : ''}` : '',
  };
}

const TONES: Record<LeaseStatus['state'] | SessionStatus['state'] | SecretStatus['state'], Tone> = {
  valid: 'good',
  degraded: 'warn',
  expired: 'bad',
  gone: 'bad',
  pending: 'quiet',
  none: 'quiet',
  closed: 'end',
};

function timeLeft(
  { ttl, validUntil }: { ttl?: number; validUntil?: Date },
  now: number,
  withoutEnd: string,
): Pick<Row, 'time' | 'filled'> {
  if (!ends(validUntil)) return { time: withoutEnd, filled: withoutEnd === 'no end' ? 1 : 0 };
  const left = validUntil.getTime() - now;
  if (left <= 0) return { time: `ended ${duration(-left)} ago`, filled: 0 };
  if (ttl === undefined) return { time: duration(left) };
  return { time: shareOfTime(left, ttl), filled: Math.min(1, left / ttl) };
}

function nextText({ action, at }: NextStep, attempt: number, now: number, verb = VERBS[action]): string {
  if (action === 'none' || !at) return '';
  const text = attempt > 0 ? 'retry' : verb;
  const left = at.getTime() - now;
  return left <= 0 ? `${text} now` : `${text} in ${duration(left)}`;
}

function whyText({ error, attempt, endsBy, next }: LeaseStatus | SessionStatus): string {
  const end = endsBy && END_REASONS[endsBy];
  return [error && failed(attempt, error.code), end, REASONS[next.reason]].filter(Boolean).join(', ');
}

function failed(attempt: number, code: string): string {
  return attempt > 0 ? `${attempt} failed: ${code}` : code;
}

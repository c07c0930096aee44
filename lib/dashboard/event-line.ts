import type { VaultEvent } from '../events/events.js';
import { printable } from '../errors/printable.js';
import { duration, ends, paint, timeOfDay, type Tone } from './format.js';
import { distinctNames } from './distinct-names.js';
import { cut, pad } from './text-width.js';

/** The parts of the line of an event. */
interface Parts {
  tone: Tone;
  event: string;
  who: string;
  /** Follows `who` and is never cut. */
  mark?: string;
  /** Without it, the note takes its place. */
  until?: Date;
  note?: string;
}

const TIME = 7;
const EVENT = 13;
const LEFT = 9;
const CLOCK = 8;
/** Below this width, the columns stand closer together. */
const NARROW = 80;
/** Milliseconds: a request takes some of the TTL that it is granted. */
const ROUNDING = 2_000;
/** From this width on, a line has the time of the day, too. */
const WITH_CLOCK = 100;

/**
 * One line for an event: seconds since the start, event, secret, time left, and a note. With `columns`, the line is not
 * wider.
 */
export function eventLine(
  event: VaultEvent,
  startedAt: number,
  columns: number | undefined,
  color: boolean,
): string {
  const { tone, event: name, who, mark = '', until, note = '' } = partsOf(event);
  const withClock = columns === undefined || columns >= WITH_CLOCK;
  const narrow = columns !== undefined && columns < NARROW;
  const whoWidth = withClock ? 34 : Math.max(12, columns - (narrow ? 49 : 53));
  const space = Math.max(1, whoWidth - mark.length);
  const shown = columns === undefined ? who : (distinctNames([who], space).get(who) ?? who);
  const seconds = `${((event.at.getTime() - startedAt) / 1_000).toFixed(1)}s`;
  const texts = [
    seconds.padStart(TIME),
    pad(name, EVENT),
    pad(shown + mark, whoWidth),
    ...(until ? [timeColumn(until, event.at, withClock)] : []),
    note,
  ];
  const line = texts.join(narrow ? ' ' : '  ').trimEnd();
  if (columns !== undefined && line.length > columns)
    return finish(cut(line, columns - 1), name, tone, color);
  return finish(line, name, tone, color);
}

/** Only the name of the event has a colour, so that a line can be cut before. */
function finish(line: string, name: string, tone: Tone, color: boolean): string {
  const at = line.indexOf(name, TIME);
  const colored = tone === 'quiet' ? 'plain' : tone;
  return (
    line.slice(0, at) + paint(colored, line.slice(at, at + name.length), color) + line.slice(at + name.length)
  );
}

function timeColumn(until: Date, at: Date, withClock: boolean): string {
  const width = LEFT + (withClock ? 2 + CLOCK : 0);
  if (!ends(until)) return 'no end'.padEnd(width);
  const left = duration(until.getTime() - at.getTime()).padStart(LEFT);
  return withClock ? `${left}  ${timeOfDay(until)}` : left;
}

const RETIRED = {
  asked: 'the server was asked to end it',
  expired: 'its TTL has passed',
  'with-token': 'ends with its token',
} as const;

const TOKEN_ENDED = {
  'revoke-requested': 'revoked, with all its leases',
  'revoke-failed': 'could not be revoked',
  given: 'given: not revoked',
  batch: 'a batch token: ends with its TTL',
  expired: 'its TTL has passed',
} as const;

function partsOf(event: VaultEvent): Parts {
  const text = wordsOf(event);
  return { ...text, who: printable(text.who), ...(text.note && { note: printable(text.note, 500) }) };
}

function wordsOf(event: VaultEvent): Parts {
  const token = 'sequence' in event ? `token ${event.sequence}` : '';
  const path = 'path' in event && event.path ? event.path : '';
  const lease = 'serial' in event ? { who: path, mark: ` #${event.serial}` } : { who: path };
  const retry =
    'retryAt' in event ? `again in ${duration(event.retryAt.getTime() - event.at.getTime())}` : '';
  const code = 'error' in event && event.error ? event.error.code : '';
  switch (event.type) {
    case 'login': {
      const note = event.reason === 'start' ? '' : event.reason;
      return { tone: 'good', event: 'login', who: token, until: event.validUntil, note };
    }
    case 'login-failed':
      return {
        tone: 'bad',
        event: 'login failed',
        who: token,
        note: event.sequence > 0 ? retry : code,
      };
    case 'token-renewed':
    case 'renewed': {
      const who = event.type === 'renewed' ? lease : { who: token };
      // The deadline of a lease is not later than that of its token.
      const short = event.validUntil.getTime() - event.at.getTime() < event.ttl - ROUNDING;
      const note = event.capped ? 'max TTL' : short ? 'ends with token' : '';
      return { tone: 'quiet', event: 'renewed', ...who, until: event.validUntil, note };
    }
    case 'token-renewal-failed':
      return { tone: 'bad', event: 'renew failed', who: token, note: retry };
    case 'token-ended': {
      const tone = event.how === 'revoke-failed' ? 'bad' : 'end';
      return { tone, event: 'ended', who: token, note: TOKEN_ENDED[event.how] };
    }
    case 'issued':
      return { tone: 'good', event: 'issued', ...lease, until: event.validUntil };
    case 'rotated':
      return { tone: 'change', event: 'rotated', ...lease, until: event.validUntil, note: event.reason };
    case 'renewal-failed':
      return {
        tone: 'bad',
        event: 'renew failed',
        ...lease,
        until: event.validUntil,
        note: `${code}, ${retry}`,
      };
    case 'rotation-failed':
      return { tone: 'bad', event: 'rotate failed', ...lease, note: retry };
    case 'drained':
      return { tone: 'end', event: 'drained', ...lease, note: 'no longer in use' };
    case 'retired':
      return { tone: 'end', event: 'retired', ...lease, note: RETIRED[event.how] };
    case 'expired':
      return { tone: 'bad', event: 'expired', ...lease, note: `no valid credential ${code}` };
    case 'secret-changed': {
      const note = event.version === undefined ? '' : `version ${event.version}`;
      return { tone: 'change', event: 'changed', ...lease, note };
    }
    case 'secret-read-failed':
      return { tone: 'bad', event: 'read failed', ...lease, note: retry };
    case 'secret-gone':
      return { tone: 'bad', event: 'gone', ...lease, note: code };
    case 'secret-invalid':
      return { tone: 'bad', event: 'invalid', ...lease, note: `the last value stays: ${code}` };
    case 'warning':
      return { tone: 'warn', event: 'warning', who: path, note: event.message };
    case 'pool-warning':
      return { tone: 'warn', event: 'pool', ...lease, note: event.message };
    case 'notice':
      return { tone: 'quiet', event: 'notice', who: event.connection, note: event.message };
    case 'tls-reloaded':
      return { tone: 'good', event: 'TLS reloaded', who: event.connection, note: event.files.join(', ') };
    case 'vault-unreachable':
      return { tone: 'bad', event: 'unreachable', who: 'the server', note: code };
    case 'vault-recovered':
      return { tone: 'good', event: 'reachable', who: 'the server', note: `after ${duration(event.after)}` };
    case 'closing':
      return { tone: 'end', event: 'closing', who: event.connection, note: 'nothing is rotated any more' };
    case 'closed':
      return { tone: 'end', event: 'closed', who: event.connection };
    default:
      return { tone: 'quiet', event: (event as VaultEvent).type, who: path };
  }
}

import type { VaultEvent } from '../events/events.js';
import { ends } from '../events/expiry.js';
import { printable } from '../errors/printable.js';
import { duration, paint, timeOfDay, type Tone } from './format.js';
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
 * One line for an event: seconds since the start, event, secret, time left, and a note. With `columns`, the line is less
 * wide. Undefined for trouble, which every logger shows, with its remedy.
 */
export function eventLine(
  event: VaultEvent,
  startedAt: number,
  columns: number | undefined,
  color: boolean,
): string | undefined {
  const parts = wordsOf(event);
  if (!parts) return undefined;
  const { tone, event: name, mark = '', until } = parts;
  const [who, note] = [printable(parts.who), printable(parts.note ?? '')];
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
  const whole = texts.join(narrow ? ' ' : '  ').trimEnd();
  const line = columns === undefined ? whole : cut(whole, columns - 1);
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
  asked: 'the server ends it soon',
  expired: 'its TTL has passed',
  'with-token': 'ends with its token',
} as const;

const TOKEN_ENDED = {
  'revoke-requested': 'revoked, with its leases',
  given: 'given: not revoked',
  batch: 'batch: ends with its TTL',
  expired: 'its TTL has passed',
} as const;

function wordsOf(event: VaultEvent): Parts | undefined {
  const token = 'sequence' in event ? `token ${event.sequence}` : '';
  const path = 'path' in event && event.path ? event.path : '';
  const lease = 'serial' in event ? { who: path, mark: ` #${event.serial}` } : { who: path };
  switch (event.type) {
    case 'login': {
      const note = event.reason === 'start' ? '' : event.reason;
      return { tone: 'good', event: 'login', who: token, until: event.validUntil, note };
    }
    case 'token-renewed':
    case 'renewed': {
      const who = event.type === 'renewed' ? lease : { who: token };
      // The deadline of a lease is not later than that of its token.
      const short = event.validUntil.getTime() - event.at.getTime() < event.ttl - ROUNDING;
      const note = event.capped ? 'max TTL' : short ? 'ends with token' : '';
      return { tone: 'quiet', event: 'renewed', ...who, until: event.validUntil, note };
    }
    case 'token-ended': {
      const { how } = event;
      return how === 'revoke-failed'
        ? undefined
        : { tone: 'end', event: 'ended', who: token, note: TOKEN_ENDED[how] };
    }
    case 'issued':
      return { tone: 'good', event: 'issued', ...lease, until: event.validUntil };
    case 'rotated':
      return { tone: 'change', event: 'rotated', ...lease, until: event.validUntil, note: event.reason };
    case 'drained':
      return { tone: 'end', event: 'drained', ...lease, note: 'no longer in use' };
    case 'retired':
      return { tone: 'end', event: 'retired', ...lease, note: RETIRED[event.how] };
    case 'released':
      return { tone: 'end', event: 'released', ...lease, note: 'not used any more' };
    case 'secret-changed': {
      const note = event.version === undefined ? '' : `version ${event.version}`;
      return { tone: 'change', event: 'changed', ...lease, note };
    }
    case 'secret-recovered':
      return { tone: 'good', event: 'read again', ...lease };
    case 'notice':
      return { tone: 'quiet', event: 'notice', who: event.connection, note: event.message };
    case 'tls-reloaded':
      return { tone: 'good', event: 'TLS reloaded', who: event.connection, note: event.files.join(', ') };
    case 'vault-recovered':
      return { tone: 'good', event: 'reachable', who: 'the server', note: `after ${duration(event.after)}` };
    case 'closing':
      return { tone: 'end', event: 'closing', who: event.connection, note: 'no more rotations' };
    case 'closed':
      return { tone: 'end', event: 'closed', who: event.connection };
    default:
      return undefined;
  }
}

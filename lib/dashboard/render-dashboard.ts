import { ends } from '../events/expiry.js';
import { printable } from '../errors/printable.js';
import type {
  ConnectionStatus,
  LeaseStatus,
  PoolStatus,
  SecretStatus,
  VaultStatus,
} from '../events/status.js';
import { paint, type Tone } from './format.js';
import { layOut } from './lay-out.js';
import { leaseRows, poolRow, secretRow, tokenRow, type Row } from './rows.js';
import { cut, widthOf } from './text-width.js';

/**
 * Options of {@link renderDashboard}.
 *
 * @publicApi
 */
export interface RenderOptions {
  /** The current time: all times of the status are shown relative to it. */
  now: Date;
  /** Width of the terminal; no line is wider than one column less, as terminals wrap a full line. @default 80 */
  columns?: number;
  /** The most lines; of more secrets and pools the most urgent are shown, and the number of the others. @default 16 */
  lines?: number;
  /** Whether lines contain colours, as ANSI sequences. @default false */
  color?: boolean;
  /** A last line of the application's own. */
  note?: string;
}

/**
 * A status as lines of text: for each connection its counts, and a bar for its token and for each lease, watched secret
 * and pool, with its end and next step. The lines contain no secret.
 *
 * @example
 * credentials.status$.subscribe((status) => show(renderDashboard(status, { now, columns: 120, color: true })));
 *
 * @publicApi
 */
export function renderDashboard(status: VaultStatus, options: RenderOptions): string[] {
  const { now, columns = 80, lines = 16, color = false, note } = options;
  const width = Math.max(1, columns - 1);
  const { connections } = status;
  const left = Math.max(1, lines - (note ? 1 : 0));
  // A connection has at least a header, a token, and the number of its other rows.
  const shown = connections.slice(0, Math.max(1, Math.floor(left / 3)));
  const missing = connections.length - shown.length;
  const each = Math.floor((left - (missing > 0 ? 1 : 0)) / Math.max(1, shown.length));
  return [
    ...shown.flatMap((connection) =>
      connectionLines(connection, now.getTime(), { width, lines: each, color }),
    ),
    ...(missing > 0 ? [cut(` + ${missing} more connections`, width)] : []),
    ...(note ? [cut(` ${printable(note)}`, width)] : []),
  ].slice(0, Math.max(1, lines));
}

interface Space {
  width: number;
  lines: number;
  color: boolean;
}

function connectionLines(connection: ConnectionStatus, now: number, space: Space): string[] {
  const { session, leases, secrets, pools } = connection;
  if (session.state === 'closed') return [header(connection, space)];
  const items = [...leases.map(leaseItem), ...secrets.map(secretItem), ...pools.map(poolItem)];
  const { rows, hidden } = mostUrgent(items, now, space);
  const lines = layOut([tokenRow(session, now), ...rows], space);
  const more =
    hidden.length > 0 ? [paint('quiet', cut(` + ${kindsOf(hidden)} more`, space.width), space.color)] : [];
  return [header(connection, space), ...lines, ...more];
}

/** One secret or pool; its rows are made only if it is shown. */
interface Item {
  kind: 'lease' | 'secret' | 'pool';
  /** The smallest is the most urgent: first by state, then by the time of its next step or end. */
  urgency: readonly [rank: number, at: number];
  rows: (now: number) => Row[];
}

const RANK = { expired: 0, gone: 0, degraded: 1, pending: 2, valid: 3 } as const;

const leaseItem = (lease: LeaseStatus): Item => ({
  kind: 'lease',
  urgency: [RANK[lease.state], Math.min(timeOf(lease.next.at), timeOf(lease.validUntil))],
  rows: (now) => leaseRows(lease, now),
});

const secretItem = (secret: SecretStatus): Item => ({
  kind: 'secret',
  urgency: [RANK[secret.state], timeOf(secret.next.at)],
  rows: (now) => [secretRow(secret, now)],
});

const poolItem = (pool: PoolStatus): Item => ({
  kind: 'pool',
  urgency: [RANK.valid, Math.min(...pool.drains.map(({ until }) => until.getTime()))],
  rows: (now) => [poolRow(pool, now)],
});

const timeOf = (at: Date | undefined): number => (ends(at) ? at.getTime() : Infinity);

/** The rows that fit, in the order of the status. */
function mostUrgent(items: readonly Item[], now: number, space: Space): { rows: Row[]; hidden: Item[] } {
  const byUrgency = [...items].sort(
    ({ urgency: [rank, at] }, { urgency: [otherRank, otherAt] }) =>
      rank - otherRank || (at === otherAt ? 0 : at - otherAt),
  );
  const shown = new Map<Item, Row[]>();
  // The header, the token and the number of the others.
  let left = space.lines - 3;
  for (const item of byUrgency) {
    const rows = item.rows(now);
    left -= layOut(rows, space).length;
    if (left < 0) break;
    shown.set(item, rows);
  }
  const rows = items.flatMap((item) => shown.get(item) ?? []);
  return { rows, hidden: items.filter((item) => !shown.has(item)) };
}

/** `37 leases, 1 pool`. */
function kindsOf(items: readonly Item[]): string {
  const kinds = (['lease', 'secret', 'pool'] as const).map((kind) => {
    const count = items.filter((item) => item.kind === kind).length;
    return count > 0 ? counted(count, kind) : '';
  });
  return kinds.filter(Boolean).join(', ');
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** The line above the rows: it separates the block from the log. */
function header(connection: ConnectionStatus, { width, color }: Space): string {
  const [word, tone] = healthOf(connection);
  const title = cut(printable(connection.name), Math.max(4, width - 20));
  const used = widthOf(`── ${title}: ${word} `);
  const counts = countsOf(connection);
  let text = '';
  for (const count of counts) {
    const longer = text === '' ? count : `${text}, ${count}`;
    if (used + widthOf(`─ ${longer} ──`) > width) break;
    text = longer;
  }
  const end = text === '' ? '' : ` ${text} ──`;
  const line = `${'─'.repeat(Math.max(0, width - used - widthOf(end)))}${end}`;
  const plain = `── ${title}: ${word} ${line}`;
  if (!color || widthOf(plain) > width) return cut(plain, width);
  return `${paint('quiet', '──', true)} ${title}: ${paint(tone, word, true)} ${paint('quiet', line, true)}`;
}

function healthOf({ session, leases, health, shutdown }: ConnectionStatus): [word: string, tone: Tone] {
  if (session.state === 'closed') return ['closed', 'end'];
  if (shutdown) return [shutdown, 'end'];
  const states = leases.map(({ state }) => state);
  const failed = session.error !== undefined || leases.some(({ error }) => error !== undefined);
  const none = session.state === 'none' || states.includes('pending');
  if (none && !failed && !states.includes('expired')) return ['starting', 'quiet'];
  return [health, health === 'up' ? 'good' : health === 'degraded' ? 'warn' : 'bad'];
}

/** The most important first: the last ones are left out where there is no space. */
function countsOf({ counters }: ConnectionStatus): string[] {
  const { issued, renewed, expired, requests, rotations, logins } = counters;
  const all = Object.values(requests);
  const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
  const failed = sum(all.map((one) => one.failed));
  return [
    ...(expired > 0 ? [`${expired} expired`] : []),
    ...(failed > 0 ? [`${counted(failed, 'request')} failed`] : []),
    `${issued} issued`,
    `${renewed} renewed`,
    `${sum(Object.values(rotations))} rotated`,
    counted(sum(Object.values(logins)), 'login'),
    counted(sum(all.map((one) => one.total)), 'request'),
  ];
}

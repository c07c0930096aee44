import { ends } from '../events/expiry.js';
import { printable } from '../errors/printable.js';
import type { VaultEvent } from '../events/events.js';
import type { ConnectionStatus, VaultStatus } from '../events/status.js';
import { duration, timeOfDay } from './format.js';

/** What a process leaves on the server of one connection. */
export interface Remaining {
  connection: string;
  /** The server was asked to revoke the token, which ends its leases, too. */
  revoked: boolean;
  token: { sequence: number; validUntil?: Date };
  leases: { path: string; serial: number; validUntil?: Date }[];
}

type TokenEnd = Extract<VaultEvent, { type: 'token-ended' }>['how'];

/** Leases of a connection that are listed for a person; of more, the number says enough. */
const LISTED = 10;

/** What connections would leave if the process ended now: their events say how tokens ended, the status has the leases. */
export class RemainingRecord {
  readonly #tokenEnds = new Map<string, TokenEnd>();
  /** The last status before a connection closed: after that, a status has no leases. */
  readonly #open = new Map<string, ConnectionStatus>();
  readonly #closing = new Set<string>();

  event(event: VaultEvent): void {
    if (event.type === 'closing') this.#closing.add(event.connection);
    if (event.type === 'token-ended') this.#tokenEnds.set(`${event.connection} ${event.sequence}`, event.how);
  }

  status({ connections }: VaultStatus): void {
    for (const one of connections) if (!this.#closing.has(one.name)) this.#open.set(one.name, one);
  }

  /** The connections that were not closed, or whose token could not be revoked. */
  of({ connections }: VaultStatus): Remaining[] {
    return connections.flatMap((connection) => {
      const { name, session } = this.#open.get(connection.name) ?? connection;
      const end = this.#tokenEnds.get(`${name} ${session.sequence}`);
      const closed = connection.session.state === 'closed' && end !== undefined && end !== 'revoke-failed';
      if (session.sequence === 0 || closed) return [];
      const { sequence, validUntil } = session;
      const leases = leasesOf(this.#open.get(name) ?? connection);
      return [
        {
          connection: name,
          revoked: end === 'revoke-requested',
          token: withEnd({ sequence }, validUntil),
          leases,
        },
      ];
    });
  }
}

function leasesOf({ leases }: ConnectionStatus): Remaining['leases'] {
  return leases.flatMap(({ path, serial, validUntil, ending }) => [
    ...(serial === undefined ? [] : [withEnd({ path, serial }, validUntil)]),
    ...ending.map((one) => withEnd({ path, serial: one.serial }, one.validUntil)),
  ]);
}

const withEnd = <T extends object>(of: T, validUntil: Date | undefined): T & { validUntil?: Date } =>
  ends(validUntil) ? { ...of, validUntil } : of;

/** Undefined if one of them has no end. */
function lastEnd(leases: Remaining['leases']): Date | undefined {
  const end = leases.reduce((last, { validUntil }) => Math.max(last, validUntil?.getTime() ?? Infinity), 0);
  return end < Infinity ? new Date(end) : undefined;
}

/** The same for a person. */
export function remainingLines(all: readonly Remaining[], now: number): string[] {
  const until = (at: Date | undefined) => {
    if (!at) return 'without an end';
    const left = at.getTime() - now;
    return left > 0 ? `until ${timeOfDay(at)} (${duration(left)})` : `which ended at ${timeOfDay(at)}`;
  };
  return all.flatMap(({ connection, revoked, token, leases }) => {
    const name = printable(connection);
    const count = `${leases.length} lease${leases.length === 1 ? '' : 's'}`;
    if (revoked)
      return [`${name}: token ${token.sequence} was revoked, and with it ${count}: nothing is left.`];
    return [
      `${name} leaves on its server:`,
      `  token ${token.sequence}, ${until(token.validUntil)}`,
      ...leases
        .slice(0, LISTED)
        .map(({ path, serial, validUntil }) => `  ${printable(path)} #${serial}, ${until(validUntil)}`),
      ...(leases.length > LISTED
        ? [`  + ${leases.length - LISTED} more leases, the last one ${until(lastEnd(leases.slice(LISTED)))}`]
        : []),
    ];
  });
}

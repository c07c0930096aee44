import type { Subject } from 'rxjs';
import { Secret, type DatabaseCredentials, type HoldOptions } from 'nestjs-vault';
import { expect } from 'vitest';

/** A snapshot made by hand, with counts of the calls on its lease. */
export interface Issued {
  credentials: DatabaseCredentials;
  user: string;
  password: string;
  holds: number;
  /** The reason given by the last hold that had one. */
  need: HoldOptions | undefined;
  refused: boolean[];
}

interface IssuedInit {
  serial: number;
  user: string;
  password: string;
  path?: string;
  renewable?: boolean;
}

/** A snapshot of a lease of a minute that counts its holds and refusals. */
export function issued({
  serial,
  user,
  password,
  path = 'database/creds/app',
  renewable = true,
}: IssuedInit): Issued {
  const one: Issued = {
    user,
    password,
    holds: 0,
    need: undefined,
    refused: [],
    credentials: {
      username: new Secret(user),
      password: new Secret(password),
      lease: {
        path,
        serial,
        tokenSequence: 1,
        issuedAt: new Date(),
        validUntil: new Date(Date.now() + 60_000),
        renewable,
        hold: (need) => {
          one.holds++;
          one.need = need ?? one.need;
          return () => void one.holds--;
        },
        reportRejected: async ({ confirmed: certain }) => void one.refused.push(certain),
      },
    },
  };
  return one;
}

/** Hands the next credentials to a pool, and waits until it reports that it uses them. */
export async function rotateTo(
  { credentials }: Issued,
  credentials$: Subject<DatabaseCredentials>,
  events: readonly { type: string; serial: number }[],
): Promise<void> {
  credentials$.next(credentials);
  const { serial } = credentials.lease;
  await expect
    .poll(() => events.some((event) => event.type === 'rotated' && event.serial === serial))
    .toBe(true);
}

/** Resolves with the error of a rejected promise. */
export function failure(work: Promise<unknown>): Promise<NodeJS.ErrnoException | undefined> {
  return work.then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error,
  );
}

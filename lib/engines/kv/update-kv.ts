import { sleep, type Clock } from '../../clock/clock.js';
import { closed } from '../../errors/common-errors.js';
import { VaultError, withSentence } from '../../errors/vault-error.js';
import { fingerprint } from '../../secret/fingerprint.js';
import { KV_CALLS } from './kv-calls.js';
import type { KvRequests } from './kv-requests.js';
import { requireVersion2, type KvTarget } from './kv-target.js';
import { latestKv, type KvSecret } from './read-kv.js';
import { currentVersion, isConflict, plain, sendWithCas, type KvWritten } from './write-kv.js';

/**
 * Makes the new data of a secret from the current one: from `undefined` if there is none, or if its latest version is
 * deleted or destroyed. It runs again after each conflict.
 *
 * @publicApi
 */
export type KvChange<T extends object = Record<string, unknown>> = (
  current: KvSecret<T> | undefined,
) => object | Promise<object>;

/** Attempts until a conflict is reported. */
const ATTEMPTS = 30;
/**
 * The wait after a conflict is random: up to the time of the fastest attempt, doubled with each. It grows until the
 * attempts of all writers fit into it one after the other. The slower ones waited for the other writers. Milliseconds.
 */
const WAIT = { least: 5, doublings: 6, longest: 10_000 };

/** The parts of a connection that an update needs. */
export interface UpdateContext {
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
}

/** Reads a secret, changes it, and writes it with `cas`; again after a conflict. */
export async function updateKv<T extends object>(
  requests: KvRequests,
  target: KvTarget,
  change: KvChange<T>,
  { clock, random, signal }: UpdateContext,
): Promise<KvWritten> {
  requireVersion2(target, 'update');
  let lost: VaultError | undefined;
  let fastest = Infinity;
  for (let attempt = 1; ; attempt++) {
    const began = clock.monotonic();
    const { secret, version: cas } = await latestKv<T>(requests.send, target).catch((error: unknown) => {
      throw unread(error, lost);
    });
    // Before the change, which may write into the data that it is given.
    const before = secret && fingerprint(secret.data.reveal());
    const data = plain(await change(secret), target);
    const after = fingerprint(data);
    if (secret?.createdAt && before === after) return { version: cas, createdAt: secret.createdAt };
    if (lost) throw lost;
    const holds = (written: unknown) => fingerprint(written) === after;
    try {
      const written = await sendWithCas(requests, KV_CALLS.writeWithCas, target, { cas, data, holds });
      if (!written.lost) return written;
      // If there is nothing left to change, the change was made.
      lost = withSentence(
        written.lost,
        `Version ${cas + 1} has the same data, by this write or by that of another writer.`,
        { outcomeUnknown: true },
      );
      continue;
    } catch (error) {
      if (!isConflict(error)) throw error;
      if (attempt === ATTEMPTS) {
        const known = await currentVersion(requests, target, cas);
        throw withSentence(error, `Other writers came first in each of ${ATTEMPTS} attempts.`, known);
      }
    }
    fastest = Math.min(fastest, Math.max(clock.monotonic() - began, WAIT.least));
    const longest = Math.min(fastest * 2 ** Math.min(attempt - 1, WAIT.doublings), WAIT.longest);
    await sleep(clock, random() * longest, signal).catch(() => {
      throw closed(target.at('data'));
    });
  }
}

/** The error of a read, with the outcome of the update: unknown only if the answer to a write was lost. */
function unread(error: unknown, lost: VaultError | undefined): unknown {
  if (!(error instanceof VaultError)) return error;
  return lost
    ? withSentence(error, 'The server may have executed an earlier write.', { outcomeUnknown: true })
    : withSentence(error, 'Nothing was written.', { outcomeUnknown: false });
}

import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { VaultError } from '../../../lib/errors/vault-error.js';
import { issueByHand, type Issued } from '../../support/driver-load.js';
import { rotating, sameUserAgain } from './rotating.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const hangs = () => new Promise<void>(() => undefined);

it('a connection that is requested before the first credentials gets them', async () => {
  const { credentials$, rotation } = rotating({});
  const waiting = rotation.ready();
  const first = issueByHand();
  credentials$.next(first.credentials);
  expect((await waiting).credentials).toBe(first.credentials);
});

it('a pool that has ended lets go of the stream, and of connections that wait for newer credentials', async () => {
  const { credentials$, rotation } = rotating({});
  credentials$.next(issueByHand().credentials);
  const replaced = rotation.waitForReplacement(await rotation.ready(), 60_000);
  rotation.end();
  expect(credentials$.observed).toBe(false);
  expect(await replaced).toBe(false);
});

it('the first reason of the end is the one that is reported', async () => {
  const { credentials$, rotation } = rotating({});
  credentials$.error(new Error('no such role'));
  rotation.end();
  await expect(rotation.ready()).rejects.toThrow('no such role');
});

it('the lease is held until beforeEnd is done, also without connections', async () => {
  let done = () => undefined as void;
  const { credentials$, rotation } = rotating({
    beforeEnd: () => new Promise<void>((resolve) => (done = resolve)),
  });
  const first = issueByHand();
  credentials$.next(first.credentials);
  const generation = await rotation.ready();
  rotation.connectionOpened(generation, 'last');
  generation.used = true;
  rotation.end();
  rotation.connectionClosed(generation, 'last');
  await vi.advanceTimersByTimeAsync(10);
  expect(first.holds).toBe(1);
  done();
  await vi.advanceTimersByTimeAsync(10);
  expect(first.holds).toBe(0);
});

it('a pool that never logged in does not log in at its end', async () => {
  const beforeEnd = vi.fn(() => Promise.resolve());
  const { credentials$, rotation } = rotating({ beforeEnd });
  const first = issueByHand();
  credentials$.next(first.credentials);
  rotation.end();
  expect(beforeEnd).not.toHaveBeenCalled();
  expect(first.holds).toBe(0);
});

it('credentials that are not verified yet are used when the lease of those in use ends', async () => {
  const { credentials$, events, rotation } = rotating({ verify: hangs });
  const [first, next] = [issueByHand(), issueByHand()];
  credentials$.next(first.credentials);
  credentials$.next(next.credentials);
  first.need?.onEnding?.();
  expect((await rotation.ready()).credentials).toBe(next.credentials);
  expect(events.map(({ type }) => type)).toEqual(['rotated']);
});

it('connections of earlier credentials are closed when their lease ends, even within the drain window', async () => {
  const ended: string[] = [];
  const { credentials$, events, rotation } = rotating({ end: (connection) => void ended.push(connection) });
  const first = issueByHand();
  credentials$.next(first.credentials);
  rotation.connectionOpened(await rotation.ready(), 'in use');
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(10);
  expect(ended).toEqual([]);
  first.need?.onEnding?.();
  expect(ended).toEqual(['in use']);
  expect(events.map(({ type }) => type)).toEqual(['rotated', 'drain-timeout']);
});

it('connections that drained in time are not reported, and the hold asks for the drain window', async () => {
  const { credentials$, events, rotation } = rotating({});
  const first = issueByHand();
  credentials$.next(first.credentials);
  expect(first.need).toMatchObject({ drain: 100 });
  const generation = await rotation.ready();
  rotation.connectionOpened(generation, 'in use');
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(50);
  rotation.connectionClosed(generation, 'in use');
  // A pool may report a connection once more that it opened before and gives up now.
  rotation.connectionOpened(generation, 'late');
  await vi.advanceTimersByTimeAsync(200);
  expect(events.map(({ type }) => type)).toEqual(['rotated']);
});

it('connections of a static user are closed after the drain window if another user comes later', async () => {
  const closeAt: (Date | undefined)[] = [];
  const ended: string[] = [];
  const { credentials$, rotation } = rotating({
    onSuperseded: (_connection, at) => closeAt.push(at),
    end: (connection) => void ended.push(connection),
  });
  const first = issueByHand();
  credentials$.next(first.credentials);
  rotation.connectionOpened(await rotation.ready(), 'in use');
  credentials$.next(sameUserAgain(first).credentials);
  await vi.advanceTimersByTimeAsync(150);
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(50);
  expect(closeAt).toEqual([undefined, expect.any(Date)]);
  expect(ended).toEqual([]);
  await vi.advanceTimersByTimeAsync(100);
  expect(ended).toEqual(['in use']);
});

it.each([
  ['waits for its next attempt', 10],
  ['waits for an answer', 0],
])('credentials that were replaced while their login %s are not verified again', async (_title, after) => {
  const attempts: object[] = [];
  const { credentials$, events, rotation } = rotating({
    verify: async (credentials) => {
      attempts.push(credentials);
      await new Promise((resolve) => setTimeout(resolve, 5));
      throw new Error('unreachable');
    },
  });
  const [first, second, third] = [issueByHand(), issueByHand(), issueByHand()];
  for (const { credentials } of [first, second]) credentials$.next(credentials);
  await vi.advanceTimersByTimeAsync(after);
  credentials$.next(third.credentials);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(attempts.filter((one) => one === second.credentials)).toHaveLength(1);
  expect(second.refused).toEqual([]);
  rotation.end();
  const before = attempts.length;
  await vi.advanceTimersByTimeAsync(30_000);
  expect(attempts).toHaveLength(before);
  expect(events.map(({ type }) => type)).toEqual(['verification-failed']);
});

/** Credentials whose lease has passed its end, so that Vault is asked before a connection is lent. */
function pastItsEnd(answer: () => Promise<void>): Issued {
  const one = issueByHand();
  Object.assign(one.credentials.lease, { ensureValid: answer });
  return one;
}

const expired = () =>
  Promise.reject(new VaultError({ code: 'VAULT_CREDENTIALS_EXPIRED', message: 'expired', hint: 'none' }));

it.each<[string, () => Promise<void>, number]>([
  ['at once if Vault says that the lease is valid', () => Promise.resolve(), 0],
  ['after 5 s if Vault does not answer', hangs, 5_000],
])('a connection past the end of its lease is lent %s', async (_title, answer, wait) => {
  const { credentials$, rotation } = rotating({});
  credentials$.next(pastItsEnd(answer).credentials);
  let lendable: boolean | undefined;
  void rotation.checkLendable(await rotation.ready())?.then((value) => (lendable = value));
  if (wait > 0) {
    await vi.advanceTimersByTimeAsync(wait - 10);
    expect(lendable).toBeUndefined();
  }
  await vi.advanceTimersByTimeAsync(20);
  expect(lendable).toBe(true);
});

it('a connection of an expired lease is not lent: the error says so after 5 s, unless newer credentials come', async () => {
  const { credentials$, rotation } = rotating({});
  credentials$.next(pastItsEnd(expired).credentials);
  const generation = await rotation.ready();
  const refused = expect(rotation.checkLendable(generation)).rejects.toMatchObject({
    code: 'VAULT_CREDENTIALS_EXPIRED',
  });
  await vi.advanceTimersByTimeAsync(5_010);
  await refused;
  const replaced = rotation.checkLendable(generation);
  await vi.advanceTimersByTimeAsync(1_000);
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(10);
  expect(await replaced).toBe(false);
});

it('a connection of a valid lease is not lent if newer credentials came into use meanwhile', async () => {
  const { credentials$, rotation } = rotating({});
  credentials$.next(pastItsEnd(() => new Promise((resolve) => setTimeout(resolve, 100))).credentials);
  const lendable = rotation.checkLendable(await rotation.ready());
  credentials$.next(issueByHand().credentials);
  await vi.advanceTimersByTimeAsync(150);
  expect(await lendable).toBe(false);
});

import { beforeEach, expect, it } from 'vitest';
import { now } from '../../../lib/clock/deadline.js';
import { Scheduler } from '../../../lib/clock/scheduler.js';
import type { EventInit } from '../../../lib/events/events.js';
import { Secret } from '../../../lib/secret/secret.js';
import type { SessionContext } from '../../../lib/session/session-context.js';
import { TokenRevoker } from '../../../lib/session/token-revoker.js';
import { VaultToken } from '../../../lib/session/vault-token.js';
import { HandClock } from '../../support/virtual-clock.js';

const clock = new HandClock();
let requests: string[];
let events: EventInit[];
let answer: () => void;
let revoker: TokenRevoker;
let token: VaultToken;

beforeEach(() => {
  requests = [];
  events = [];
  const context = {
    api: {
      send: ({ path }: { path: string }) => {
        requests.push(path);
        return new Promise<void>((resolve) => (answer = resolve));
      },
    },
    clock,
    scheduler: new Scheduler(clock),
    options: { shutdown: { revoke: true } },
    emit: (event: EventInit) => events.push(event),
  } as unknown as SessionContext;
  revoker = new TokenRevoker(context);
  const login = {
    token: new Secret('t'),
    accessor: 'a',
    identity: 'a',
    ttl: 3_600,
    renewable: true,
    uses: 0,
    type: 'service',
  };
  token = new VaultToken(1, { ...login, own: true, sentAt: now(clock) }, () => 0.5);
  revoker.add(token);
});

it('a token that several requests release at once is revoked once', async () => {
  const revoked = [revoker.revoke(token), revoker.revoke(token)];
  answer();
  await Promise.all([...revoked, revoker.revokeAll(1_000)]);
  expect(requests).toEqual(['auth/token/revoke-self']);
  expect(events).toEqual([{ type: 'token-ended', sequence: 1, how: 'revoke-requested' }]);
  expect(revoker.unrevoked).toEqual([]);
});

it.each([
  [204, true, 'revoke-requested'],
  [204, false, 'revoke-requested'],
  // The revocation that was sent before has taken effect.
  [403, true, 'revoke-requested'],
  [403, false, 'revoke-failed'],
  [503, true, 'revoke-failed'],
])('the process ends, and another thread got %i (asked before: %s): %s', (status, asked, how) => {
  if (asked) void revoker.revoke(token);
  revoker.revoked(token, status);
  expect(events).toEqual([{ type: 'token-ended', sequence: 1, how }]);
  expect(revoker.unrevoked).toEqual([]);
});

import { expect, it } from 'vitest';
import { lastRequests } from '../../../lib/connection/last-requests.js';
import type { Lease } from '../../../lib/leases/lease.js';
import type { Grant } from '../../../lib/lifetime/grant.js';
import type { VaultToken } from '../../../lib/session/vault-token.js';
import { VirtualClock } from '../../../lib/testing/index.js';

const clock = new VirtualClock();
const in60s = { monotonic: clock.monotonic() + 60_000, wall: clock.wall() + 60_000 };

const granted: Partial<Grant> = { deadline: in60s, renewable: true, state: 'alive' };
const token = (more: Partial<VaultToken> = {}, state: Grant['state'] = 'alive') =>
  ({
    own: true,
    revocable: true,
    namespaceOverride: {},
    grant: { ...granted, state },
    ...more,
  }) as unknown as VaultToken;
const lease = (id: string, token: VaultToken, grant: Partial<Grant> = {}) =>
  ({ id, token, ended: false, grant: { ...granted, ...grant } }) as unknown as Lease<unknown>;
const asked = (...given: Parameters<typeof lastRequests>) =>
  lastRequests(...given).map(({ request: { path, body } }) => [path, body]);

const REVOKED = ['auth/token/revoke-self', {}];
const retired = (lease_id: string) => ['sys/leases/renew', { lease_id, increment: 1 }];

it('each token of this process is revoked, with its leases', () => {
  const [first, second] = [token(), token({ namespaceOverride: { namespace: 'team' } })];
  const last = lastRequests([first, second], [lease('a', first), lease('b', second)], true, clock);
  expect(last.map(({ token, revokes }) => [token, revokes])).toEqual([
    [first, true],
    [second, true],
  ]);
  expect(last.map(({ request }) => request.namespace)).toEqual([undefined, 'team']);
});

it.each([
  ['given', token({ own: false }), true],
  ['a batch token', token({ revocable: false }), true],
  ['kept by shutdown.revoke', token(), false],
])('leases of a token that stays valid are retired: %s', (_, token, revoke) => {
  const leases = [
    lease('a', token),
    lease('not renewable', token, { renewable: false }),
    lease('retired before', token, { state: 'retired' }),
    lease('about to expire', token, {
      deadline: { monotonic: clock.monotonic() + 1_900, wall: clock.wall() + 1_900 },
    }),
  ];
  expect(asked([token], leases, revoke, clock)).toEqual([retired('a')]);
});

it('nothing is left of a token that the server has revoked', () => {
  expect(asked([token({}, 'ended')], [], true, clock)).toEqual([]);
  // Refused soon after its login by another server behind a balancer.
  expect(asked([token({}, 'refused')], [], true, clock)).toEqual([REVOKED]);
  expect(asked([], [], true, clock)).toEqual([]);
});

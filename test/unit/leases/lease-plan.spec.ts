import { expect, it } from 'vitest';
import { now } from '../../../lib/clock/deadline.js';
import { Scheduler } from '../../../lib/clock/scheduler.js';
import { leased } from '../../../lib/engines/leased.js';
import { planLease, type LeaseAttempts } from '../../../lib/leases/lease-policy.js';
import type { ConnectionLink } from '../../../lib/leases/connection-link.js';
import { Lease } from '../../../lib/leases/lease.js';
import type { GrantUpdate } from '../../../lib/lifetime/grant.js';
import { Lifecycle, type Granted } from '../../../lib/lifetime/lifecycle.js';
import { Secret } from '../../../lib/secret/secret.js';
import { VaultToken } from '../../../lib/session/vault-token.js';
import { HandClock } from '../../support/virtual-clock.js';

const MINUTE = 60_000;
const renewal = { at: 0.66, jitter: 0.05, ttl: Infinity };
const random = () => 0.5;
const hooks = {
  link: {} as ConnectionLink,
  onDrainRequired: () => {},
  onRejected: () => Promise.resolve(),
  ensureValid: () => undefined,
};

/** Records a report of the server. */
type Adopt = (of: Granted, update: GrantUpdate) => void;
type Happens = (lease: Lease<unknown>, clock: HandClock, adopt: Adopt) => void;

/** A lease of a minute, and its history. */
function planned(happens: Happens, attempts: Partial<LeaseAttempts> = {}): string {
  const clock = new HandClock();
  const sentAt = now(clock);
  const login = { token: new Secret('t'), accessor: '', ttl: 3_600, renewable: true, uses: 0, sentAt };
  const token = new VaultToken(1, { ...login, identity: '', type: 'service', own: true }, random);
  const envelope = {
    leaseId: 'x',
    leaseDuration: 60,
    renewable: true,
    warnings: [],
    mountType: undefined,
    sentAt,
    cached: false,
    wellFormed: true,
  };
  const answer = { status: 200, data: {}, auth: null, ...envelope, path: 'x', parameters: undefined };
  const init = { serial: 1, token, engine: leased, answer };
  const lease = new Lease<unknown>(init, random, hooks);
  const options = { retry: { initialDelay: 500, maxDelay: 30_000, jitter: 0 } };
  const idle = { plan: () => undefined, run: () => Promise.resolve() };
  const life = new Lifecycle({ clock, scheduler: new Scheduler(clock), options, random }, idle);
  happens(lease, clock, (of, update) => life.adopt(of, update));
  const usual = { frozen: false, failures: 0, rotationFailed: false, gotNoResponse: false };
  const step = planLease(lease.view(clock), { ...usual, ...attempts }, renewal);
  return `${step.action} ${step.reason} in ${Math.round(step.in)}`;
}

/** A renewal that was granted less than it asked for: the max TTL is near. */
const capped: Happens = (lease, clock, adopt) => {
  const answer = { seconds: 60, renewable: true, sentAt: now(clock), warnings: [] };
  adopt(lease, { kind: 'renewed', answer, asked: 100 });
};

it.each<[string, string, Happens, Partial<LeaseAttempts>?]>([
  ['as usual', 'renew renewal in 39600', () => {}],
  [
    'the server reports its end',
    'rotate lease-lost in 0',
    (lease, _, adopt) => adopt(lease, { kind: 'ended' }),
  ],
  [
    'the server reports its end, after its time',
    'rotate expired in 0',
    (lease, clock, adopt) => {
      clock.advance(2 * MINUTE);
      adopt(lease, { kind: 'ended' });
    },
  ],
  ['it seems expired: checked first', 'renew renewal in 0', (_, clock) => clock.advance(2 * MINUTE)],
  [
    'the check failed: a new one',
    'rotate expired in 0',
    (_, clock) => clock.advance(2 * MINUTE),
    { failures: 1 },
  ],
  [
    'its token has ended: no check',
    'rotate lease-lost in 0',
    ({ token }, _, adopt) => adopt(token, { kind: 'ended' }),
  ],
  [
    'renewals keep failing, and little time is left',
    'rotate renewal-failing in 0',
    (_, clock) => clock.advance(55_000),
    { failures: 5 },
  ],
  [
    'renewals find no server, so an issue would fail, too',
    'renew renewal in 0',
    (_, clock) => clock.advance(55_000),
    { failures: 5, gotNoResponse: true },
  ],
  [
    'just before the end, a rotation',
    'rotate renewal-failing in 0',
    (_, clock) => clock.advance(59_000),
    { failures: 5, gotNoResponse: true },
  ],
  [
    'the rotation failed, too: a renewal again',
    'renew renewal in 0',
    (_, clock) => clock.advance(55_000),
    { failures: 5, rotationFailed: true },
  ],
  [
    'the time left of its token is no reason to give up',
    'renew renewal in 0',
    ({ token }, clock, adopt) => {
      const deadline = { monotonic: clock.monotonic() + 42_000, wall: Infinity };
      adopt(token, { kind: 'read-again', grant: { ...token.grant, deadline } });
      clock.advance(40_000);
    },
    { failures: 1 },
  ],
  [
    'a consumer was rejected with it',
    'rotate rejected in 0',
    (lease) => lease.reject({ at: 0, confirmed: true }),
  ],
  [
    'its replacement is due later than its renewal',
    'renew renewal in 39600',
    (lease) => lease.reject({ at: MINUTE, confirmed: true }),
  ],
  ['at its max TTL', 'rotate max-ttl in 0', capped],
  ['at shutdown nothing is rotated', 'renew renewal in 39600', capped, { frozen: true }],
])('%s: %s', (_what, expected, happens, attempts) => {
  expect(planned(happens, attempts)).toBe(expected);
});

import type { VaultEvent } from 'nestjs-vault';
import { expect, it } from 'vitest';
import { eventLine } from '../../../lib/dashboard/event-line.js';
import { inTime, NOW } from './fixtures.js';

const base = { connection: 'default', at: NOW };
const lease = { ...base, path: 'database/creds/orders', serial: 12 };
const token = { ...base, type: 'token-ended', sequence: 3 } as const;
const renewed = {
  ...lease,
  type: 'renewed',
  validUntil: inTime(4_000),
  ttl: 10_000,
  renewable: true,
} as const;

it.each<[string, Partial<VaultEvent>]>([
  ['asked', { ...lease, type: 'retired', how: 'asked' }],
  ['expired', { ...lease, type: 'retired', how: 'expired' }],
  ['with-token', { ...lease, type: 'retired', how: 'with-token' }],
  ['revoke-requested', { ...token, how: 'revoke-requested' }],
  ['given', { ...token, how: 'given' }],
  ['batch', { ...token, how: 'batch' }],
  ['expired', { ...token, how: 'expired' }],
  ['drained', { ...lease, type: 'drained' }],
  ['capped', { ...renewed, capped: true } as Partial<VaultEvent>],
  ['short', { ...renewed, capped: false } as Partial<VaultEvent>],
  ['closing', { ...base, type: 'closing' }],
])('at 80 columns no word of an event is cut: %s, %o', (_, event) => {
  expect(eventLine(event as VaultEvent, NOW.getTime(), 80, false)).toMatch(/^[^…]{10,79}$/);
});

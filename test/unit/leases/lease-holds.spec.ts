import { expect, it } from 'vitest';
import { LeaseHolds } from '../../../lib/leases/lease-holds.js';

it.each([NaN, '30s' as unknown as number, -1])(
  'a drain time of %s takes nothing from the others',
  (drain) => {
    const holds = new LeaseHolds();
    holds.add(drain, undefined);
    holds.add(30_000, undefined);
    holds.add(drain, undefined);
    expect(holds.drain).toBe(30_000);
  },
);

import { systemClock, type Clock } from '../../clock/clock.js';
import { linkOf } from '../../leases/connection-link.js';
import type { LeaseInfo } from '../../leases/lease-info.js';

/** The clock of the connection that credentials come from; the real one for those that a test makes by hand. */
export function clockOf({ lease }: { readonly lease: LeaseInfo }): Clock {
  return linkOf(lease)?.clock ?? systemClock;
}

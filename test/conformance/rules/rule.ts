import type { World } from '../world.js';

/** A test of one rule of `docs/internals/lifecycle.md`. */
export interface Rule {
  id: string;
  title: string;
  /** `real`: also tested on a real server. */
  where: 'simulated' | 'real';
  test: (world: World) => Promise<void>;
}

export type Rules = readonly Rule[];

/** A rule that is tested on the simulated server only: it needs hours, or faults that only a simulation has. */
export function simulated(id: string, title: string, test: Rule['test']): Rule {
  return { id, title, where: 'simulated', test };
}

/** A rule that is tested on every server. */
export function everywhere(id: string, title: string, test: Rule['test']): Rule {
  return { id, title, where: 'real', test };
}

export const SECOND = 1_000;
export const RENEW = /^sys\/leases\/renew$/;
export const RENEW_SELF = /^auth\/token\/renew-self$/;
export const LOGIN = /^auth\/approle\/login$/;
export const ISSUE = /^database\/creds\//;
export const LOOKUP_SELF = /^auth\/token\/lookup-self$/;
export const REVOKE_SELF = /^auth\/token\/revoke-self$/;
/** TTLs that are too long to matter. */
export const LONG = { ttl: 3_600, maxTtl: 36_000 };

import type { Size } from './run.js';

/** The run of the page. Each life has several renewals, and none ends near the moment of a renewal. */
export const FULL: Size = {
  fleet: {
    replicas: 60,
    token: { ttl: 60, maxTtl: 240 },
    leases: 1,
    lease: { ttl: 60, maxTtl: 160 },
    pool: { max: 2, drain: 2 },
    secrets: 1,
    watched: 1,
    every: 30,
    deploy: { duration: 60, surge: 10 },
  },
  batch: 10,
  after: 60_000,
};

/** A tenth of it, with a third of the TTLs, to try a change of the run itself. */
export const SHORT: Size = {
  fleet: {
    ...FULL.fleet,
    replicas: 6,
    token: { ttl: 20, maxTtl: 80 },
    lease: { ttl: 20, maxTtl: 53 },
    pool: { max: 2, drain: 1 },
    every: 10,
    deploy: { duration: 20, surge: 2 },
  },
  batch: 2,
  after: 10_000,
};

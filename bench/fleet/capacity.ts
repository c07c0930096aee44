// The formulas of docs/capacity.md. Pure: no clock, no server. test/unit/capacity.spec.ts holds them to the simulation,
// and `npm run test:capacity` to real processes.
import { backoff } from '../../lib/retry/backoff.js';

/** The defaults of the options `renewal` and `retry`; a test compares them. */
export const RENEWAL = { at: 0.66, jitter: 0.05 };
export const RETRY = { initialDelay: 500, maxDelay: 300_000, jitter: 0.5 };
const MINUTE = 60;
/** Seconds from the request that retires a superseded lease until its user is gone. */
const RETIRED_AFTER = 2;
/** Seconds: the longest retry delay of a credential that has expired. */
const EXPIRED_DELAY = 30;

/** Seconds. `maxTtl` is Infinity for a token with a period. */
export interface Ttl {
  readonly ttl: number;
  readonly maxTtl: number;
}

/** A fleet of equal processes; each has one token. Times in seconds. */
export interface Fleet {
  readonly replicas: number;
  readonly token: Ttl;
  /** Leases of one process. */
  readonly leases: number;
  readonly lease: Ttl;
  /** Connections of the pool of each lease, and the time until the last one of a superseded user has closed. */
  readonly pool: { readonly max: number; readonly drain: number };
  /** KV secrets that a process reads at its start, and how many of them it follows. */
  readonly secrets: number;
  readonly watched: number;
  /** Interval at which a followed secret is read. */
  readonly every: number;
  /** Duration of a rolling deploy, and the processes that it starts before it ends as many old ones. */
  readonly deploy: { readonly duration: number; readonly surge: number };
}

/** One token or lease, from the login or issue until its successor. */
export interface Life {
  /** Seconds; Infinity for a token with a period. */
  readonly length: number;
  /** Renewals in that time; the last one shows that the max TTL is near. */
  readonly renewals: number;
  /** Standard deviation of `length` in seconds, by the jitter of the renewals. */
  readonly deviation: number;
}

/** Seconds between two renewals of a token or lease. */
export function renewalInterval({ ttl, maxTtl }: Ttl): number {
  return Math.min(ttl, maxTtl) * RENEWAL.at;
}

/** A token or lease is renewed until a renewal grants less than its TTL. Then it is replaced. */
export function lifeOf(grant: Ttl): Life {
  const { maxTtl } = grant;
  if (maxTtl === Infinity) return { length: Infinity, renewals: Infinity, deviation: Infinity };
  const ttl = Math.min(grant.ttl, maxTtl);
  const interval = renewalInterval(grant);
  const renewals = Math.floor((maxTtl - ttl) / interval) + 1;
  // Each interval is drawn from a range of 2 · jitter · TTL.
  const deviation = ((2 * RENEWAL.jitter * ttl) / Math.sqrt(12)) * Math.sqrt(renewals);
  return { length: renewals * interval, renewals, deviation };
}

/** Requests of the fleet in a minute, on average; `total` has all of them. */
export interface Rates {
  logins: number;
  tokenRenewals: number;
  issues: number;
  leaseRenewals: number;
  /** Renewals that end a superseded lease. */
  retirements: number;
  /** Revocations of a superseded token. */
  revocations: number;
  watches: number;
  total: number;
}

/** The rates of a fleet that has run for long. */
export function ratesAtRest({ replicas, token, lease, leases, watched, every }: Fleet): Rates {
  const ofToken = lifeOf(token);
  const ofLease = lifeOf(lease);
  // In one life of a token each path has so many whole lives of a lease, and one that ends with the token.
  const issued =
    ofToken.length === Infinity ? 1 / ofLease.length : issuesOfToken(ofToken, ofLease) / ofToken.length;
  const logins = (MINUTE * replicas) / ofToken.length;
  const issues = MINUTE * replicas * leases * issued;
  const rates = {
    logins,
    tokenRenewals: (MINUTE * replicas) / renewalInterval(token),
    issues,
    leaseRenewals: (MINUTE * replicas * leases) / renewalInterval(lease),
    retirements: issues,
    revocations: logins,
    watches: (MINUTE * replicas * watched) / every,
  };
  return { ...rates, total: Object.values(rates).reduce((sum, rate) => sum + rate, 0) };
}

function issuesOfToken(token: Life, lease: Life): number {
  return Math.floor(token.length / lease.length) + 1;
}

/** Users, leases, tokens and connections. */
export interface Stock {
  /** Users of a fleet at rest; on average with those that drain; and if all rotate at the same time. */
  users: { atRest: number; average: number; most: number };
  /** Leases of secrets and tokens, of which the server stores one entry each. */
  stored: number;
  /** Connections to the database: at rest, if all pools rotate at the same time, and while a deploy runs. */
  connections: { atRest: number; atRotation: number; atDeploy: number };
}

export function stockOf(fleet: Fleet): Stock {
  const { replicas, leases, pool, deploy } = fleet;
  const atRest = replicas * leases;
  const draining = (ratesAtRest(fleet).issues / MINUTE) * (pool.drain + RETIRED_AFTER);
  // A pool opens one connection more than `max`: the one that verifies the next user.
  const ofPools = (processes: number) => processes * leases * (pool.max + 1);
  return {
    users: { atRest, average: atRest + draining, most: 2 * atRest },
    stored: replicas + atRest,
    connections: {
      atRest: atRest * pool.max,
      atRotation: ofPools(replicas),
      atDeploy: ofPools(replicas + deploy.surge),
    },
  };
}

/** Requests in a minute while a rolling deploy runs, and in the waves that follow it. */
export interface DeployLoad {
  logins: number;
  issues: number;
  reads: number;
  /** Each revocation ends the users of one process. */
  revocations: number;
  dropped: number;
  /** The first wave of renewals, two thirds of a TTL later; of tokens and leases. */
  renewals: number;
  /** The wave of issues when the leases of the deploy reach their max TTL. */
  issuesAtMaxTtl: number;
}

/** What a rolling deploy of the whole fleet causes. */
export function deployLoad({ replicas, token, lease, leases, secrets, deploy }: Fleet): DeployLoad {
  const { duration } = deploy;
  const starts = (MINUTE * replicas) / duration;
  const wave = (one: Ttl) =>
    (MINUTE * replicas) / Math.min(Math.max(duration, 2 * RENEWAL.jitter * one.ttl), renewalInterval(one));
  return {
    logins: starts,
    issues: starts * leases,
    reads: starts * secrets,
    revocations: starts,
    dropped: starts * leases,
    renewals: wave(token) + leases * wave(lease),
    issuesAtMaxTtl: MINUTE * replicas * leases * densityAfter(duration, lifeOf(lease).deviation),
  };
}

/** Share of a second, at the peak, of events spread evenly over `duration` seconds and then by a normal deviation. */
function densityAfter(duration: number, deviation: number): number {
  return erf(duration / (2 * Math.SQRT2 * deviation)) / duration;
}

/** Abramowitz and Stegun 7.1.26; the error is below 2e-7. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * x);
  const factors = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  return 1 - factors.reduce((sum, factor) => (sum + factor) * t, 0) * Math.exp(-x * x);
}

/** When the server returns. */
export interface ReturnLoad {
  /** Tokens and leases whose renewals failed. */
  waiting: number;
  /** Requests a second in the moment of the return, those of a fleet at rest included. */
  requests: number;
  /** Seconds after which the last one has retried, at most. */
  within: number;
  /** Whether tokens and leases outlived the outage. */
  outlived: boolean;
}

/** What a fleet sends when the server returns after an outage; `outage` in seconds. */
export function loadAtReturn({ replicas, token, leases, lease }: Fleet, outage: number): ReturnLoad {
  const parts = [ofReturn(token, outage, 1), ofReturn(lease, outage, leases)];
  return {
    waiting: replicas * parts.reduce((sum, { waiting }) => sum + waiting, 0),
    requests: replicas * parts.reduce((sum, { requests }) => sum + requests, 0),
    within: Math.max(...parts.map(({ within }) => within)),
    outlived: outage <= Math.min(outlives(token), outlives(lease)),
  };
}

/** The longest outage, in seconds, that each token or lease of this TTL outlives: 29 % of the TTL. */
export function outlives({ ttl }: Ttl): number {
  return ttl * (1 - RENEWAL.at - RENEWAL.jitter);
}

/**
 * One process. Renewals fall due at a steady rate, and each that failed is sent again after growing delays. So at the end
 * of the outage requests come at that rate, times the number of attempts that fit into the outage.
 */
function ofReturn(grant: Ttl, outage: number, count: number): Omit<ReturnLoad, 'outlived'> {
  const interval = renewalInterval(grant);
  const left = grant.ttl - interval;
  let attempts = 1;
  let within = 0;
  for (let age = 0, failures = 1; age < outage; failures++) {
    const delay = (random: number) => retryDelay(failures, { left: left - age, ttl: grant.ttl }, random);
    const mean = delay(0.5);
    within = Math.max(within, delay(0));
    attempts += Math.min(1, (outage - age) / mean);
    age += mean;
  }
  const due = count / interval;
  return { waiting: count * Math.min(1, outage / interval), requests: due * attempts, within };
}

/** Seconds; `random` is 0 for the longest delay, 1 for the shortest. */
function retryDelay(failures: number, { left, ttl }: { left: number; ttl: number }, random: number): number {
  if (left <= 0) return EXPIRED_DELAY * (1 - RETRY.jitter * random);
  return backoff(failures, RETRY, { left: left * 1000, ttl: ttl * 1000 }, () => random) / 1000;
}

/**
 * Logins and issues in a minute, at most, after every token was lost: a process notices it at the next renewal of its
 * token or of one of its leases.
 */
export function loadAfterLoss({ replicas, token, leases, lease }: Fleet): { logins: number; issues: number } {
  const logins = MINUTE * replicas * (1 / renewalInterval(token) + leases / renewalInterval(lease));
  return { logins, issues: logins * leases };
}

/** Logins a second, at most, after an outage that no token outlived: all of them retry within the longest delay. */
export function loadAfterExpiry({ replicas, leases }: Fleet): { logins: number; issues: number } {
  const logins = replicas / (EXPIRED_DELAY * (1 - RETRY.jitter / 2));
  return { logins, issues: logins * leases };
}

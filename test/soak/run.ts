import { setTimeout as sleep } from 'node:timers/promises';
import { startOpenBao } from '../support/servers.mjs';
import { Application } from './application.js';
import { atLast, POLICY, type Backend, type BackendKind } from './backends/backend.js';
import { Load, type Result } from './load.js';
import { countOf, latencies, latency, SECOND, slope, tally, type Latency } from './summary.js';

const LEASE = { name: 'soak', defaultTtl: '5s', maxTtl: '15s' };
const TOKEN = { token_ttl: '30s', token_max_ttl: '60s' };
/** Milliseconds; the longest transaction takes five seconds. */
const DRAIN = 6_000;
export const CONNECTIONS = 12;
/** No rotation takes longer than the max TTL. */
const LONGEST_ROTATION = 20_000;
/** Time for users and connections to end after the application. */
const GONE_WITHIN = 10_000;

/** The report of one run. Times in milliseconds, memory in bytes. */
export interface SoakReport {
  variant: string;
  seconds: number;
  rotations: number;
  reasons: Record<string, number>;
  logins: number;
  queries: number;
  transactions: number;
  cursors: number;
  failed: number;
  codes: Record<string, number>;
  shed: number;
  stragglers: number;
  warnings: string[];
  elsewhere: Latency;
  afterPublication: Latency;
  ratio: number;
  /** Latency of transactions and cursors, beyond their requested duration. */
  long: Latency;
  usersLeft: number;
  connectionsLeft: number;
  /** Connections of earlier credentials in the running application, after the load and the drain window. */
  connectionsLeaked: number;
  /** Most connections at one time, those of earlier credentials included. */
  mostConnections: number;
  /** Most users with connections at one time. */
  mostUsers: number;
  /** Most users at one time that were neither current, nor being verified, nor superseded within the drain window. */
  lateUsers: number;
  heap: { start: number; end: number; perRotation: number };
  rss: { start: number; end: number };
  requests: { total: number; failed: number };
}

/** Runs one variant under load for so many rotations. */
export async function soak(
  variant: string,
  kind: BackendKind,
  rotations: number,
  progress: (line: string) => void,
): Promise<SoakReport> {
  const [bao, backend] = await Promise.all([startOpenBao(), kind.start()]);
  try {
    const { roleId, secretId } = await backend.provision(bao, LEASE, {
      policy: POLICY,
      approle: { ...TOKEN, token_no_default_policy: true },
    });
    const app = await Application.start({
      variant,
      role: LEASE.name,
      vault: { address: bao.address, auth: { roleId, secretId } },
      database: { ...backend.where, max: CONNECTIONS, drain: DRAIN, application: 'soak' },
    });
    try {
      return await underLoad(variant, app, backend, rotations, progress);
    } finally {
      await app.stop();
    }
  } finally {
    await Promise.all([bao.stop(), backend.stop()]);
  }
}

async function underLoad(
  variant: string,
  app: Application,
  backend: Backend,
  rotations: number,
  progress: (line: string) => void,
): Promise<SoakReport> {
  const began = Date.now();
  const load = new Load(app.url, (text) => app.expectNoSecrets(text)).start();
  const heap: { x: number; y: number }[] = [];
  const rss: number[] = [];
  const pauses: Span[] = [];
  const measure = async () => {
    const at = Date.now();
    const measured = await app.measure();
    heap.push({ x: app.publications.length, y: measured.heapUsed });
    rss.push(measured.rss);
    pauses.push({ at, ended: Date.now() });
  };
  let mostConnections = 0;
  let mostUsers = 0;
  let lateUsers = 0;
  const every = Math.max(1, Math.floor(rotations / 10));
  // The first rotation belongs to the warm-up.
  for (let due = 1; app.publications.length <= rotations;) {
    if (Date.now() > began + (rotations + 3) * LONGEST_ROTATION) break;
    const connected = await backend.connections();
    mostConnections = Math.max(mostConnections, connected.length);
    const users = new Set(connected).size;
    mostUsers = Math.max(mostUsers, users);
    const draining = app.publications.filter((at) => at > Date.now() - DRAIN - SECOND).length;
    lateUsers = Math.max(lateUsers, users - draining - 2);
    const done = app.publications.length;
    const published = app.publications.at(-1) ?? 0;
    // After the second for which latency is measured.
    if (done >= due && Date.now() > published + SECOND) {
      await measure();
      due = done + every;
      progress(`${variant}: ${done - 1} of ${rotations} rotations, ${load.failures().length} failed`);
    }
    await sleep(500);
  }
  await load.stop();
  await measure();
  const requests = await app.requests();
  // A rotation may be in progress at that moment.
  const connectionsLeaked = await atLast(DRAIN + 2 * SECOND, async () =>
    ofOthers(await backend.connections()),
  );
  const seconds = Math.round((Date.now() - began) / 1_000);
  await app.stop();
  const usersLeft = await atLast(GONE_WITHIN, () => backend.users());
  const connectionsLeft = await atLast(GONE_WITHIN, async () => (await backend.connections()).length);
  return {
    ...eventsOf(app),
    ...counted(load.results, app.publications, pauses),
    variant,
    seconds,
    shed: load.shed,
    usersLeft,
    connectionsLeaked,
    connectionsLeft,
    mostConnections,
    mostUsers,
    lateUsers,
    heap: { start: heap[0]?.y ?? NaN, end: heap.at(-1)?.y ?? NaN, perRotation: slope(heap) },
    rss: { start: rss[0] ?? NaN, end: rss.at(-1) ?? NaN },
    requests,
  };
}

/** Connections of all users except one. */
function ofOthers(connected: readonly string[]): number {
  const counts = Object.values(tally(connected));
  return connected.length - Math.max(0, ...counts);
}

function eventsOf(app: Application) {
  const events = app.reports('event');
  const pool = app.reports('pool');
  return {
    rotations: app.publications.length,
    reasons: tally(events.flatMap(({ event, reason }) => (event === 'rotated' && reason ? [reason] : []))),
    logins: events.filter(({ event }) => event === 'login').length,
    stragglers: pool.reduce((sum, { count = 0 }) => sum + count, 0),
    warnings: [...new Set([...events, ...pool].flatMap(({ message }) => (message ? [message] : [])))],
  };
}

interface Span {
  at: number;
  ended: number;
}

/** @param pauses times at which the measurement of its memory paused the application */
function counted(results: readonly Result[], publications: readonly number[], pauses: readonly Span[]) {
  const failures = results.flatMap(({ code }) => (code === undefined ? [] : [code]));
  // Excludes the warm-up, whose latency would make a publication look fast, and the pauses.
  const fair = results.filter(
    ({ at, ended }) =>
      at >= (publications[0] ?? 0) && !pauses.some((pause) => at < pause.ended && ended > pause.at),
  );
  const { after, elsewhere, ratio } = latencies(fair, publications);
  const long = results.filter(({ kind, code }) => kind !== 'query' && code === undefined);
  return {
    queries: countOf(results, 'query'),
    transactions: countOf(results, 'transaction'),
    cursors: countOf(results, 'cursor'),
    failed: failures.length,
    codes: tally(failures),
    elsewhere,
    afterPublication: after,
    ratio,
    long: latency(long.map(({ took }) => took)),
  };
}

import { BLOCKING_WORKER } from './blocking-worker.js';
import type { Route, WrittenRequest } from './transport.js';

/** A request, and where it goes. Plain data: another thread gets a copy. */
export interface RoutedRequest extends WrittenRequest {
  route: Route;
}

/**
 * Sends requests while this thread stands still, for where nothing asynchronous runs any more. It is another thread that
 * sends them; what they hold stays in memory.
 *
 * @param timeout milliseconds in which this thread waits
 * @returns for each request the status of its answer; 0 where there was none
 * @throws whatever Node refuses a thread with, as its permission model does
 */
export function sendBlocking(requests: readonly RoutedRequest[], timeout: number): number[] {
  // Not by an import, which changes the process: see test/package/untouched.mjs.
  const { Worker } = process.getBuiltinModule('node:worker_threads');
  const statuses = new Int32Array(
    new SharedArrayBuffer((requests.length + 1) * Int32Array.BYTES_PER_ELEMENT),
  );
  const addresses = Math.max(1, ...requests.map(({ route }) => route.addresses.length));
  const worker = new Worker(BLOCKING_WORKER, {
    eval: true,
    name: 'nestjs-vault',
    // What the process preloads, as a tracer, is not to run once more.
    env: {},
    execArgv: [],
    workerData: { requests: withAuthorities(requests), statuses, share: timeout / addresses },
  });
  worker.on('error', () => undefined);
  worker.unref();
  Atomics.wait(statuses, 0, 0, timeout);
  return [...statuses].slice(1);
}

/** Node's own authorities as this thread has them: some are added by flags and calls that the other one does not see. */
function withAuthorities(requests: readonly RoutedRequest[]): RoutedRequest[] {
  const routes = new Map<Route, Route>();
  return requests.map((request) => {
    const { route } = request;
    const secure = route.addresses[0]?.startsWith('https:') === true;
    if (!secure || route.tls?.ca !== undefined) return request;
    const known = routes.get(route) ?? { ...route, tls: { ...route.tls, ...authorities() } };
    routes.set(route, known);
    return { ...request, route: known };
  });
}

function authorities(): { ca?: string[] } {
  const tls = process.getBuiltinModule('node:tls') as {
    rootCertificates: readonly string[];
    /** Node 22.15 and later. */
    getCACertificates?: (type: 'default') => string[];
  };
  const ca = tls.getCACertificates?.('default') ?? [];
  // With `--use-openssl-ca` it does not list them all, and every thread has them.
  return ca.length >= tls.rootCertificates.length ? { ca } : {};
}

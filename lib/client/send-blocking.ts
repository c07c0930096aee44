import { BLOCKING_WORKER } from './blocking-worker.js';
import type { Route, WrittenRequest } from './transport.types.js';

/** A request with its route. Plain data, as another thread gets a copy. */
export interface RoutedRequest extends WrittenRequest {
  route: Route;
}

/**
 * Sends requests while this thread is blocked, for code in which nothing asynchronous runs any more. Another thread
 * sends them; their contents are not written to disk.
 *
 * @param timeout maximum time that this thread is blocked, in milliseconds
 * @returns for each request the status of its answer; 0 without an answer
 * @throws the error of Node if it refuses a thread, as its permission model does
 */
export function sendBlocking(requests: readonly RoutedRequest[], timeout: number): number[] {
  // Not by an import, which would change the process: see test/package/untouched.mjs.
  const { Worker } = process.getBuiltinModule('node:worker_threads');
  const statuses = new Int32Array(
    new SharedArrayBuffer((requests.length + 1) * Int32Array.BYTES_PER_ELEMENT),
  );
  const addresses = Math.max(1, ...requests.map(({ route }) => route.addresses.length));
  const worker = new Worker(BLOCKING_WORKER, {
    eval: true,
    name: 'nestjs-vault',
    // Modules that the process preloads, as a tracer, must not run again.
    env: {},
    execArgv: [],
    workerData: { requests: withAuthorities(requests), statuses, share: timeout / addresses },
  });
  worker.on('error', () => undefined);
  worker.unref();
  Atomics.wait(statuses, 0, 0, timeout);
  return [...statuses].slice(1);
}

/** Node's default authorities in this thread: flags and calls may have added some that the other thread lacks. */
function withAuthorities(requests: readonly RoutedRequest[]): RoutedRequest[] {
  const routes = new Map<Route, Route>();
  return requests.map((request) => {
    const { route } = request;
    const secure = route.addresses.some((address) => address.startsWith('https:'));
    if (!secure || route.tls?.ca !== undefined) return request;
    const known = routes.get(route) ?? { ...route, tls: { ...route.tls, ...authorities() } };
    routes.set(route, known);
    return { ...request, route: known };
  });
}

function authorities(): { ca?: string[] } {
  const tls = process.getBuiltinModule('node:tls') as {
    rootCertificates: readonly string[];
    /** Available in Node 22.15 and later. */
    getCACertificates?: (type: 'default') => string[];
  };
  const ca = tls.getCACertificates?.('default') ?? [];
  // With `--use-openssl-ca` Node does not list all of them, but every thread has them.
  return ca.length >= tls.rootCertificates.length ? { ca } : {};
}

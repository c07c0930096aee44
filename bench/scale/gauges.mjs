import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Counts pending timers among those set from now on. It records each, so the memory must not be measured in the same
 * process.
 */
export function countTimers() {
  const timers = new Set();
  const { setTimeout, clearTimeout } = globalThis;
  globalThis.setTimeout = (callback, ...rest) => {
    const done = (...values) => {
      timers.delete(timer);
      callback(...values);
    };
    const timer = setTimeout(done, ...rest);
    timers.add(timer);
    return timer;
  };
  globalThis.clearTimeout = (timer) => {
    timers.delete(timer);
    clearTimeout(timer);
  };
  return () => timers.size;
}

/** Used heap after garbage collection, in bytes. */
export async function heapUsed() {
  for (let round = 0; round < 3; round++) {
    globalThis.gc();
    await sleep(20);
  }
  return process.memoryUsage().heapUsed;
}

/**
 * Milliseconds of time, of CPU, and of event loop delay during some work. A timer is due each millisecond; the delay is
 * the time by which it fires late.
 */
export async function during(work) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const cpu = process.cpuUsage();
  const start = performance.now();
  delay.enable();
  // The measurement begins with its first timer, so that timer must be set before the work.
  await sleep(5);
  await work();
  delay.disable();
  const took = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const late = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - 1);
  return { took, cpu: (user + system) / 1_000, p99: late(delay.percentile(99)), max: late(delay.max) };
}

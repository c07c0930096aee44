import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Counts the timers that are set from now on, and neither fire nor are cleared. What it remembers of each is memory,
 * which is therefore not to be measured in the same process.
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

/** Bytes that are in use once all that can go is gone. */
export async function heapUsed() {
  for (let round = 0; round < 3; round++) {
    globalThis.gc();
    await sleep(20);
  }
  return process.memoryUsage().heapUsed;
}

/**
 * Milliseconds of time, of CPU, and by which the event loop was held up, during some work. A timer is due each
 * millisecond; what is told of it is how much later than that it comes.
 */
export async function during(work) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const cpu = process.cpuUsage();
  const start = performance.now();
  delay.enable();
  // What begins with the work is counted from its first timer on only.
  await sleep(5);
  await work();
  delay.disable();
  const took = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const late = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - 1);
  return { took, cpu: (user + system) / 1_000, p99: late(delay.percentile(99)), max: late(delay.max) };
}

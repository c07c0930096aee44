import type { Times } from './clock.js';

/**
 * A moment on both clocks. The monotonic clock stops while a laptop sleeps, and the wall clock can be set back. The
 * smaller remaining time applies, so neither a sleep nor a step of the clock makes a deadline later.
 */
export interface Deadline {
  readonly monotonic: number;
  readonly wall: number;
}

/** A deadline that never comes (root tokens, secrets without a lease). */
export const NEVER: Deadline = { monotonic: Infinity, wall: Infinity };

/** The current time on both clocks. A TTL counts from the time when the request leaves, not from the answer. */
export function now(clock: Times): Deadline {
  return { monotonic: clock.monotonic(), wall: clock.wall() };
}

/** `start` plus `duration` milliseconds. */
export function after(start: Deadline, duration: number): Deadline {
  return { monotonic: start.monotonic + duration, wall: start.wall + duration };
}

/** Milliseconds left; negative after the deadline. */
export function remaining(deadline: Deadline, clock: Times): number {
  return Math.min(deadline.monotonic - clock.monotonic(), deadline.wall - clock.wall());
}

/** The earlier time on each clock. */
export function earlier(a: Deadline, b: Deadline): Deadline {
  return { monotonic: Math.min(a.monotonic, b.monotonic), wall: Math.min(a.wall, b.wall) };
}

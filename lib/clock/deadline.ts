import type { Clock } from './clock.js';

/**
 * A moment known on both clocks. The monotonic one stands still while a laptop sleeps, the wall clock can be set
 * back; what is left is the smaller of the two, so neither sleep nor a step ever makes a deadline later.
 */
export interface Deadline {
  readonly monotonic: number;
  readonly wall: number;
}

/** A deadline that never comes (root tokens, secrets without a lease). */
export const NEVER: Deadline = { monotonic: Infinity, wall: Infinity };

/** The moment a request is about to leave: durations that servers grant count from here, never from the answer. */
export function now(clock: Clock): Deadline {
  return { monotonic: clock.monotonic(), wall: clock.wall() };
}

/** `start` plus `duration` milliseconds. */
export function after(start: Deadline, duration: number): Deadline {
  return { monotonic: start.monotonic + duration, wall: start.wall + duration };
}

/** Milliseconds left; negative once past. */
export function remaining(deadline: Deadline, clock: Clock): number {
  return Math.min(deadline.monotonic - clock.monotonic(), deadline.wall - clock.wall());
}

/** The one that comes first. */
export function earlier(a: Deadline, b: Deadline): Deadline {
  return { monotonic: Math.min(a.monotonic, b.monotonic), wall: Math.min(a.wall, b.wall) };
}

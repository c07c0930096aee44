import type { Deadline } from '../clock/deadline.js';
import type { Life } from '../leases/engine.js';

/** The life of what expires at a time in seconds since 1970; none where the answer holds no such time. */
export function expiresAt(seconds: unknown, sentAt: Deadline): Life {
  return typeof seconds === 'number' ? { expiresIn: Math.max(0, seconds * 1_000 - sentAt.wall) } : {};
}

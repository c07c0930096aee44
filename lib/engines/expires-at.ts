import type { Deadline } from '../clock/deadline.js';
import type { Life } from './engine.js';

/** The life of a secret that expires at `seconds` since 1970; empty if the answer has no such time. */
export function expiresAt(seconds: unknown, sentAt: Deadline): Life {
  return typeof seconds === 'number' ? { expiresIn: Math.max(0, seconds * 1_000 - sentAt.wall) } : {};
}

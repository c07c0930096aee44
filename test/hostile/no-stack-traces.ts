import { afterAll, beforeAll } from 'vitest';

/** Stack traces off: source maps take longer than all else, and a failure shows its input anyway. */
export function noStackTraces(): void {
  const { stackTraceLimit } = Error;
  beforeAll(() => void (Error.stackTraceLimit = 0));
  afterAll(() => void (Error.stackTraceLimit = stackTraceLimit));
}

import { afterAll, beforeAll } from 'vitest';

/** Frames are looked up in source maps, which takes longer than all else; a failure shows its input. */
export function noStackTraces(): void {
  const { stackTraceLimit } = Error;
  beforeAll(() => void (Error.stackTraceLimit = 0));
  afterAll(() => void (Error.stackTraceLimit = stackTraceLimit));
}

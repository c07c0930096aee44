import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { AwaitedConnection } from '../../../lib/connection/awaited-connection.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const CYCLE = { code: 'VAULT_STARTUP_FAILED', hint: expect.stringContaining('cycle') as string };
const listeners = () => process.listenerCount('beforeExit');

it('if options do not arrive within 10 s, waiting callers get an error', async () => {
  const before = listeners();
  const awaited = new AwaitedConnection('default');
  const waiting = awaited.wait();
  void awaited.wait();
  expect(listeners()).toBe(before + 1);
  vi.advanceTimersByTime(10_000);
  await expect(waiting).rejects.toMatchObject(CYCLE);
  expect(listeners()).toBe(before);
});

it('while something else of the start may hold the options back, the time limit begins again', async () => {
  let delayed = true;
  const awaited = new AwaitedConnection('default', () => delayed);
  let settled = false;
  const waiting = awaited.wait().finally(() => (settled = true));
  waiting.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(25_000);
  expect(settled).toBe(false);
  delayed = false;
  await vi.advanceTimersByTimeAsync(5_000);
  await expect(waiting).rejects.toMatchObject(CYCLE);
});

it('a connection that has begun has no such limit, and leaves no listener behind', async () => {
  const before = listeners();
  const awaited = new AwaitedConnection('default');
  let settled = false;
  const waiting = awaited.wait().finally(() => (settled = true));
  awaited.begin();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(settled).toBe(false);
  expect(listeners()).toBe(before);
  awaited.reject(new Error('closed'));
  await expect(waiting).rejects.toThrow('closed');
});

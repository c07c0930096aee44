import { expect, it } from 'vitest';
import { retryWithinBudget } from '../../../lib/retry/retry-within-budget.js';
import { VaultError, type VaultErrorCode } from '../../../lib/errors/vault-error.js';
import { HandClock } from '../../support/virtual-clock.js';

const retry = { initialDelay: 500, maxDelay: 2_000, jitter: 0 };
const error = (code: VaultErrorCode, retryAfter?: number) =>
  new VaultError({ code, message: 'no', hint: 'wait', ...(retryAfter !== undefined && { retryAfter }) });
const settle = () => new Promise((resolve) => setImmediate(resolve));

function run(answers: (Error | string)[], budget = 10_000) {
  const clock = new HandClock();
  const begin = clock.monotonic();
  const tries: number[] = [];
  const controller = new AbortController();
  const job = () => {
    tries.push(clock.monotonic() - begin);
    const next = answers.length > 1 ? answers.shift() : answers[0];
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  };
  const outcome = retryWithinBudget(job, { clock, budget, retry, signal: controller.signal }).then(
    (value) => value,
    (reason: unknown) => reason,
  );
  const pass = async (milliseconds: number) => {
    for (let time = 0; time < milliseconds; time += 50) {
      await settle();
      clock.advance(50);
    }
    await settle();
  };
  return { clock, tries, controller, outcome, pass };
}

it('retries a temporary failure, with growing pauses', async () => {
  const { tries, outcome, pass } = run([
    error('VAULT_SEALED'),
    error('VAULT_STANDBY'),
    error('VAULT_TIMEOUT'),
    'ok',
  ]);
  await pass(6_000);
  expect(await outcome).toBe('ok');
  expect(tries).toEqual([0, 500, 1_500, 3_500]);
});

it('does not retry a permanent failure', async () => {
  const refused = error('VAULT_LOGIN_INPUT_INVALID');
  const { tries, outcome } = run([refused, 'ok']);
  expect(await outcome).toBe(refused);
  expect(tries).toEqual([0]);
});

it('does not retry an error of another package', async () => {
  const bug = new TypeError('bug');
  expect(await run([bug, 'ok']).outcome).toBe(bug);
});

it('with Retry-After: 0 it waits as usual', async () => {
  const { tries, outcome, pass } = run([error('VAULT_SEALED', 0), error('VAULT_SEALED', 0), 'ok']);
  await pass(2_000);
  expect(await outcome).toBe('ok');
  expect(tries).toEqual([0, 500, 1_500]);
});

it('gives up when its time has passed, with the last error, and does not overrun', async () => {
  const sealed = error('VAULT_SEALED');
  const { tries, outcome, pass } = run([sealed], 3_000);
  await pass(10_000);
  expect(await outcome).toBe(sealed);
  expect(Math.max(...tries)).toBeLessThanOrEqual(3_000);
  expect(tries.length).toBeGreaterThan(3);
  expect(tries.length).toBeLessThan(12);
});

it('waits for as long as Retry-After says', async () => {
  const { tries, outcome, pass } = run([error('VAULT_RATE_LIMITED', 4_000), 'ok']);
  await pass(5_000);
  expect(await outcome).toBe('ok');
  expect(tries).toEqual([0, 4_000]);
});

it('does not wait beyond its time limit', async () => {
  const limited = error('VAULT_RATE_LIMITED', 60_000);
  expect(await run([limited, 'ok']).outcome).toBe(limited);
});

it('an abort ends the wait with the last error, and leaves no timer', async () => {
  const sealed = error('VAULT_SEALED');
  const { clock, controller, outcome } = run([sealed]);
  await settle();
  expect(clock.timers.size).toBe(1);
  controller.abort();
  expect(await outcome).toBe(sealed);
  expect(clock.timers.size).toBe(0);
});

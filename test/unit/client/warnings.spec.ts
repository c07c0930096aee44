import { expect, it } from 'vitest';
import type { ApiResponse } from '../../../lib/client/api.types.js';
import { ApiClient } from '../../../lib/client/api-client.js';
import type { Sender } from '../../../lib/client/transport.types.js';
import { systemClock } from '../../../lib/clock/clock.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { token } from '../../../lib/index.js';
import { expectNoLeak } from '../../support/leaks.js';

const CAPPED = 'TTL of "9h" exceeded the effective max_ttl of "1m57s"; TTL value is capped accordingly';

/** The warnings that a client emits for an answer. */
function received(answer: object): Promise<ApiResponse> {
  const transport: Sender = {
    send: () => Promise.resolve({ statusCode: 200, headers: {}, body: JSON.stringify(answer), address: '' }),
    close: () => Promise.resolve(),
  };
  const options = resolveOptions({ address: 'http://vault.test', auth: token('t') });
  return new ApiClient(options, systemClock, transport).send({ method: 'GET', path: 'database/creds/app' });
}

it('passes warnings of servers unchanged', async () => {
  expect((await received({ data: {}, warnings: [CAPPED, 'second'] })).warnings).toEqual([CAPPED, 'second']);
  expect((await received({ data: {}, warnings: null })).warnings).toEqual([]);
  expect((await received({ data: {} })).warnings).toEqual([]);
});

it('removes line breaks and terminal sequences', async () => {
  const { warnings } = await received({
    warnings: [
      'first\r\n[Nest] LOG forged',
      'issuance may fail: x\n\nConsider',
      '\u001b[31mred\u009b\u2028next\u202etxt',
    ],
  });
  expect(warnings).toEqual(['first [Nest] LOG forged', 'issuance may fail: x Consider', '[31mred next txt']);
});

it('bounds their length and their number', async () => {
  const { warnings } = await received({ warnings: Array.from({ length: 500 }, () => 'w'.repeat(5_000)) });
  expect(warnings.join('').length).toBeLessThan(10_000);
  expect(warnings[0]).toMatch(/^w{200,}…$/);
});

it('accepts only strings as warnings', async () => {
  const { warnings } = await received({ warnings: [{ password: 'hunter22' }, 7, null, 'text', ''] });
  expect(warnings).toEqual(['text']);
  expect((await received({ warnings: 'no list' })).warnings).toEqual([]);
});

it('shows no secret of the same answer, even if an engine repeats it', async () => {
  const [password, key, made] = ['canary-p4ssw0rd', 'canary-nested-key', 'hvs.canary-token'];
  const { warnings, data } = await received({
    data: { username: 'v-approle-app', password, more: [{ key }] },
    auth: { client_token: made },
    warnings: [
      `${password} is weak, ${password}!`,
      `${key} and ${made}`,
      `${'w'.repeat(290)}${password}`,
      CAPPED,
    ],
  });
  expectNoLeak(warnings, [password, key, made, password.slice(0, 10)]);
  expect(warnings[0]).toBe('[redacted] is weak, [redacted]!');
  expect(warnings.at(-1)).toBe(CAPPED);
  expect(data).toMatchObject({ password });
});

it('shows no part of a secret that is longer than a warning', async () => {
  const key = `-----BEGIN PRIVATE KEY-----${'canary-of-a-key/'.repeat(500)}`;
  const { warnings } = await received({
    data: { key },
    warnings: [`failed with ${key}`, `${'w'.repeat(280)}${key}`],
  });
  expectNoLeak(warnings, ['-----BEGIN', 'canary-of']);
  expect(warnings[0]).toBe('failed with [redacted]…');
});

it('a secret that appears after the removal of another one is hidden as well', async () => {
  const [long, next] = ['canary-long-'.repeat(20), 'canary-next-'.repeat(20)];
  const { warnings } = await received({ data: { long, next }, warnings: [`${long}${next}${next}`] });
  expectNoLeak(warnings, ['canary-long', 'canary-next']);
});

/** CPU time in milliseconds. */
async function cost(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

it('searches for at most a thousand secrets: the warnings of a larger answer are not shown', async () => {
  const data = Array.from({ length: 200_000 }, (_, index) => `canary-${index}-`.padEnd(40, 'x'));
  const warnings = Array.from({ length: 10 }, () => `${data[7]} ${'y'.repeat(100_000)}`);
  const without = await cost(() => received({ data: { data } }));
  let shown: readonly string[] = [];
  const withThem = await cost(async () => (shown = (await received({ data: { data }, warnings })).warnings));
  expect(shown).toEqual([expect.stringContaining('not shown')]);
  expectNoLeak(shown, [data[7] as string]);
  // Searching each warning for each secret would take a hundred times as long as all else.
  expect(withThem).toBeLessThan(3 * without + 200);
});

// docs/metrics-and-traces.md: its tables have every name, and its programs do what it says.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CHANNELS } from '../../../lib/events/channels.js';
import { BUCKETS, METRICS, SPAN } from '../../../lib/telemetry/names.js';
import { snippets } from '../../snippets/snippets.mjs';
import { read } from '../../support/pages.mjs';
import { World } from './world.js';

const PAGE = 'docs/metrics-and-traces.md';
const page = read(PAGE);
const folder = fileURLToPath(new URL('../../../.cache/metrics-page', import.meta.url));
let world: World;

beforeEach(() => {
  world = new World();
});
afterEach(() => world.end());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a program of the page unchanged, and loads it. */
async function load<T>(file: string): Promise<T> {
  const text = snippets().find((one) => one.page === PAGE && one.file === file)?.text ?? '';
  mkdirSync(folder, { recursive: true });
  const path = join(folder, file.replace('src/', ''));
  writeFileSync(path, text);
  return (await import(/* @vite-ignore */ pathToFileURL(path).href)) as T;
}

const cellsOf = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('`', ''));
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map(cellsOf);

it('the table of metrics is that of the source', () => {
  const listed = rows.filter(([name = '']) => name.startsWith('nestjs_vault.') && rows.length > 0);
  const metrics = listed.filter((row) => row.length === 5);
  expect(metrics).toEqual(
    Object.values(METRICS).map(({ name, kind, unit, attributes, meaning }) => [
      name,
      kind,
      unit,
      attributes.join(', '),
      meaning.replaceAll('`', ''),
    ]),
  );
  expect(page).toContain(BUCKETS.join(', '));
});

it('the tables have every attribute of spans, and every channel', () => {
  const names = rows.map(([name]) => name);
  const missing = Object.values(SPAN).filter((name) => !names.includes(name) && name !== SPAN.port);
  expect(missing).toEqual([]);
  expect(page).toContain(`\`${SPAN.port}\``);
  const channels = Object.values(CHANNELS).map(({ name }) => String(name));
  expect(new Set(names.filter((name) => name?.startsWith('nestjs-vault:')))).toEqual(new Set(channels));
});

it('src/telemetry.ts serves metrics to Prometheus, by the names that the page has, without a secret', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  vi.stubEnv('OTEL_EXPORTER_PROMETHEUS_PORT', String(port));
  const program = await load<{ endTelemetry(): Promise<void> }>('src/telemetry.ts');
  try {
    const connection = world.connect();
    const { data } = await world.clock.until(
      connection.leases.get<{ password: string }>('database/creds/app'),
    );
    await world.clock.until(connection.secrets.read('app'));
    const answer = await vi.waitFor(() => fetch(`http://127.0.0.1:${port}/metrics`));
    const text = await answer.text();
    expect(text).toMatch(/^nestjs_vault_request_duration_count\{.*operation="login".*\} 1$/m);
    expect(text).toMatch(/^nestjs_vault_logins_total\{.*reason="start".*\} 1$/m);
    expect(text).toMatch(/^nestjs_vault_lease_time_to_expiry\{.*path="database\/creds\/app".*\} 60$/m);
    for (const canary of ['canary', data.reveal().password]) expect(text).not.toContain(canary);
  } finally {
    await program.endTelemetry();
    vi.unstubAllEnvs();
  }
});

it('src/slow-requests.ts logs a slow request with its id', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  const { requestEnd } = CHANNELS;
  // Node gives a channel another prototype at its first subscriber.
  const first = () => undefined;
  requestEnd.subscribe(first);
  const subscribe = vi.spyOn(requestEnd, 'subscribe');
  await load('src/slow-requests.ts');
  world.vault.delay(2_000, { match: /secret/ });
  await world.clock.until(world.connect().secrets.read('app'));
  expect(warn.mock.calls).toEqual([
    [expect.stringMatching(/^read secret\/data\/\{path\} took 2000 ms, [\da-f-]{36}$/)],
  ]);
  // The program subscribes without end; other files of tests run in this process.
  for (const listener of [first, ...subscribe.mock.calls.map(([one]) => one)])
    requestEnd.unsubscribe(listener);
  subscribe.mockRestore();
  expect(requestEnd.hasSubscribers).toBe(false);
  warn.mockRestore();
});

import { channel } from 'node:diagnostics_channel';
import { context, diag, metrics, trace, DiagLogLevel } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { VaultInstrumentation } from 'nestjs-vault/opentelemetry';
import { CHANNELS } from '../../../lib/events/channels.js';
import { Telemetry } from '../../support/telemetry.js';
import { World } from './world.js';

let world: World;
const made: { disable(): void }[] = [];
const remember = <T extends { disable(): void }>(one: T): T => {
  made.push(one);
  return one;
};
const subscribed = () => Object.values(CHANNELS).filter(({ hasSubscribers }) => hasSubscribers);

beforeEach(() => {
  world = new World();
});
afterEach(async () => {
  await world.end();
  for (const one of made.splice(0)) one.disable();
  for (const api of [metrics, trace, diag, context]) api.disable();
  expect(subscribed()).toEqual([]);
});

const read = () => world.clock.until(world.connect().secrets.read('app'));

it('is of the form that the SDK registers, and enables itself unless it is told not to', () => {
  const one = remember(new VaultInstrumentation());
  expect(one).toMatchObject({
    instrumentationName: 'nestjs-vault',
    instrumentationVersion: expect.any(String),
  });
  expect(one.getConfig()).toEqual({ enabled: true });
  expect(subscribed().length).toBe(Object.keys(CHANNELS).length);
  one.disable();
  expect(subscribed()).toEqual([]);
  const other = remember(new VaultInstrumentation({ enabled: false }));
  expect(subscribed()).toEqual([]);
  other.enable();
  other.enable();
  other.disable();
  expect(subscribed()).toEqual([]);
});

it('uses global providers also if they are registered after the first request', async () => {
  remember(new VaultInstrumentation());
  await read();
  const { meterProvider, tracerProvider, ...telemetry } = remember(new Late());
  metrics.setGlobalMeterProvider(meterProvider);
  trace.setGlobalTracerProvider(tracerProvider);
  await read();
  expect(await telemetry.kept.value('request.duration', { operation: 'read' })).toBe(1);
  expect(telemetry.kept.spans.map(({ name }) => name)).toContain('vault read secret/data/{path}');
});

it('a request of a task that began before there was a tracer is a root, not a child of its caller', () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  remember(new VaultInstrumentation());
  const { tracerProvider, kept } = remember(new Late());
  const source = { name: 'default', reachable: true, now: () => 0, status: () => world.connect().status };
  const task = { source, kind: 'login', reason: 'start' };
  CHANNELS.taskStart.publish(task);
  trace.setGlobalTracerProvider(tracerProvider);
  const caller = tracerProvider.getTracer('application').startSpan('GET /orders');
  context.with(trace.setSpan(context.active(), caller), () => {
    for (const of of [{ task }, {}]) {
      const request = { source, operation: 'login', method: 'POST', path: 'auth/approle/login', ...of };
      CHANNELS.requestStart.publish(request);
      CHANNELS.requestEnd.publish(request);
    }
  });
  const parents = kept.spans.map(({ parentSpanContext }) => parentSpanContext?.spanId);
  expect(parents).toEqual([undefined, caller.spanContext().spanId]);
});

it('providers that the SDK sets replace earlier ones', async () => {
  const first = remember(new Late()).kept;
  const instrumentation = remember(new VaultInstrumentation({ meterProvider: first.meterProvider }));
  await read();
  const second = remember(new Late()).kept;
  instrumentation.setMeterProvider(second.meterProvider);
  instrumentation.setTracerProvider(second.tracerProvider);
  await read();
  expect(await first.value('request.duration', { operation: 'read' })).toBe(1);
  expect(await second.value('request.duration', { operation: 'read' })).toBe(1);
  expect(second.spans.length).toBeGreaterThan(0);
});

it('after disable nothing is reported, and no gauge is read', async () => {
  const telemetry = remember(new Kept());
  await read();
  telemetry.instrumentation.disable();
  const status = vi.spyOn(world.opened[0] as (typeof world.opened)[0], 'status', 'get');
  await read();
  expect(await telemetry.value('request.duration', { operation: 'read' })).toBe(1);
  expect(status).not.toHaveBeenCalled();
  expect(telemetry.spans.filter(({ name }) => name === 'vault read secret/data/{path}').length).toBe(1);
});

it('what is under way when the reports end has a span that ends, and memory of nothing is left', async () => {
  const telemetry = remember(new Kept());
  const connection = world.connect();
  await world.clock.until(connection.login());
  const before = telemetry.spans.length;
  const [credentials, reading] = [
    connection.leases.get('database/creds/app'),
    connection.secrets.read('app'),
  ];
  const begun = new Set<unknown>();
  const note = (message: unknown) => void begun.add(message);
  CHANNELS.requestStart.subscribe(note);
  while (begun.size < 2) await Promise.resolve();
  CHANNELS.requestStart.unsubscribe(note);
  telemetry.instrumentation.disable();
  const names = ['vault read secret/data/{path}', 'vault read database/creds/{role}'];
  expect(telemetry.spans.slice(before).map(({ name }) => name)).toEqual(
    expect.arrayContaining([...names, 'vault issue database/creds/{role}']),
  );
  const ended = telemetry.spans.length;
  telemetry.instrumentation.enable();
  await world.clock.until(Promise.all([credentials, reading]));
  expect(telemetry.spans.length).toBe(ended);
  // They count as requests all the same.
  expect(await telemetry.value('request.duration', { operation: 'read' })).toBe(2);
});

it('a function of the application that throws costs the name of the path only', async () => {
  const broken = (): string => {
    throw new TypeError('path.foo is not a function');
  };
  const telemetry = remember(new Kept({ path: broken }));
  await world.clock.until(world.connect().leases.get('database/creds/app'));
  expect(await telemetry.value('lease.time_to_expiry', { path: 'other' })).toBe(60);
  const issue = telemetry.spans.find(({ name }) => name === 'vault issue database/creds/{role}');
  expect(issue?.attributes['nestjs_vault.path']).toBe('other');
});

it('a provider that throws ends neither the request nor the process', async () => {
  const errors: unknown[] = [];
  const log = {
    error: (...words: unknown[]) => errors.push(words),
    warn() {},
    info() {},
    debug() {},
    verbose() {},
  };
  diag.setLogger(log, { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true });
  const getTracer = () => {
    throw new Error('broken');
  };
  remember(new VaultInstrumentation({ tracerProvider: { getTracer } }));
  const { data } = await read();
  expect(data.reveal()).toEqual({ url: 'canary-in-a-kv-secret' });
  expect(errors.length).toBeGreaterThan(0);
});

it('messages of another copy of the package are the same plain objects', async () => {
  const telemetry = remember(new Kept());
  const source = { name: 'other copy', reachable: true, now: () => 0, status: () => world.connect().status };
  const message = { source, operation: 'read', method: 'GET', path: 'secret/data/{path}' };
  channel('nestjs-vault:request:start').publish(message);
  Object.assign(message, {
    outcome: { duration: 5, status: 200, leased: false, cached: false, resends: [] },
  });
  channel('nestjs-vault:request:end').publish(message);
  expect(await telemetry.value('request.duration', { connection: 'other copy' })).toBe(1);
  expect(telemetry.spans.map(({ name }) => name)).toEqual(['vault read secret/data/{path}']);
});

/** Providers that keep what they get, with an instrumentation of their own. */
class Kept extends Telemetry {
  disable(): void {
    this.end();
  }
}

/** Providers alone. */
class Late {
  readonly kept = new Telemetry({ enabled: false });
  readonly meterProvider = this.kept.meterProvider;
  readonly tracerProvider = this.kept.tracerProvider;

  disable(): void {
    this.kept.end();
  }
}

import { context, SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Telemetry } from '../../support/telemetry.js';
import { World } from './world.js';

let world: World;
let telemetry: Telemetry;

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterAll(() => context.disable());

beforeEach(() => {
  world = new World();
  telemetry = new Telemetry();
});
afterEach(async () => {
  world.vault.clearFaults();
  await world.end();
  telemetry.end();
});

/** Runs a job within a span of the application. */
async function within<T>(name: string, job: () => Promise<T>): Promise<{ result: T; span: Span }> {
  const span = telemetry.tracerProvider.getTracer('application').startSpan(name);
  const result = await context.with(trace.setSpan(context.active(), span), job);
  span.end();
  return { result, span };
}
const named = (name: string): ReadableSpan[] => telemetry.spans.filter((span) => span.name === name);
const one = (name: string): ReadableSpan => {
  const [span, ...more] = named(name);
  expect(more, name).toEqual([]);
  return span as ReadableSpan;
};
const idOf = (span: ReadableSpan | Span) => span.spanContext().spanId;
const linksOf = (span: ReadableSpan) => span.links.map(({ context: { spanId } }) => spanId);
const isRoot = (span: ReadableSpan) => span.parentSpanContext === undefined;

it('a request is a child of its caller, with what leads into the audit log', async () => {
  const connection = world.connect();
  await world.clock.until(connection.login());
  const { span } = await within('GET /orders', () => world.clock.until(connection.secrets.read('app')));
  const request = one('vault read secret/data/{path}');
  expect(request.kind).toBe(SpanKind.CLIENT);
  expect(request.parentSpanContext?.spanId).toBe(idOf(span));
  expect(request.status.code).toBe(SpanStatusCode.UNSET);
  expect(request.attributes).toEqual({
    'nestjs_vault.connection': 'default',
    'nestjs_vault.operation': 'read',
    'nestjs_vault.request_id': expect.stringMatching(/^[\da-f-]{36}$/),
    'http.request.method': 'GET',
    'http.response.status_code': 200,
    'server.address': 'simulated:',
    'url.template': '/v1/secret/data/{path}',
  });
});

it('a failed request has the code of its error, and no words of the server', async () => {
  const connection = world.connect();
  world.vault.answer(400, { errors: ['echo of canary-of-the-server'] }, { match: /secret\/data\/app/ });
  await world.clock.until(connection.secrets.read('app').catch(() => undefined));
  const request = one('vault read secret/data/{path}');
  expect(request.status).toEqual({ code: SpanStatusCode.ERROR, message: 'VAULT_REQUEST_INVALID' });
  expect(request.attributes).toMatchObject({
    'error.type': 'VAULT_REQUEST_INVALID',
    'http.response.status_code': 400,
  });
  expect(request.attributes).not.toHaveProperty('nestjs_vault.request_id');
});

it('shared work is a root with a link to the caller that asked, and its requests are its children', async () => {
  const connection = world.connect();
  const { span } = await within('GET /orders', () =>
    world.clock.until(connection.leases.get('database/creds/app')),
  );
  const issue = one('vault issue database/creds/{role}');
  expect(isRoot(issue)).toBe(true);
  expect(issue.kind).toBe(SpanKind.INTERNAL);
  expect(linksOf(issue)).toEqual([idOf(span)]);
  expect(issue.attributes).toEqual({
    'nestjs_vault.connection': 'default',
    'nestjs_vault.reason': 'first',
    'nestjs_vault.path': 'database/creds/app',
    'nestjs_vault.serial': 1,
  });
  expect(one('vault read database/creds/{role}').parentSpanContext?.spanId).toBe(idOf(issue));
  // The issue asked for the login.
  const login = one('vault login');
  expect(isRoot(login)).toBe(true);
  expect(linksOf(login)).toEqual([idOf(issue)]);
  expect(login.attributes).toMatchObject({ 'nestjs_vault.reason': 'start', 'nestjs_vault.serial': 1 });
  expect(one('vault login auth/approle/login').parentSpanContext?.spanId).toBe(idOf(login));
});

it('a login that a request needs has a link to the caller of the request', async () => {
  const connection = world.connect();
  const { span } = await within('GET /orders', () => world.clock.until(connection.secrets.read('app')));
  expect(linksOf(one('vault login'))).toEqual([idOf(span)]);
});

it('what is due by itself has neither parent nor link, whoever was first', async () => {
  const connection = world.connect();
  await within('GET /orders', () => world.clock.until(connection.leases.get('database/creds/app')));
  await world.pass(200_000);
  const rotation = one('vault rotate database/creds/{role}');
  expect(isRoot(rotation)).toBe(true);
  expect(linksOf(rotation)).toEqual([]);
  expect(rotation.attributes).toMatchObject({ 'nestjs_vault.reason': 'max-ttl', 'nestjs_vault.serial': 2 });
  const [, read] = named('vault read database/creds/{role}');
  expect(read?.parentSpanContext?.spanId).toBe(idOf(rotation));
  const renewals = named('vault renew-lease sys/leases/renew');
  expect(renewals.length).toBeGreaterThan(2);
  expect(renewals.filter((renewal) => !isRoot(renewal))).toEqual([]);
});

it('a caller that waits for a lease after its end is linked to the issue that it waits for', async () => {
  const connection = world.connect();
  await world.clock.until(connection.leases.get('database/creds/app'));
  world.vault.seal();
  await world.pass(70_000);
  const { span } = await within('GET /orders', async () => {
    const waiting = world.clock.until(connection.leases.get('database/creds/app').catch(() => undefined));
    world.vault.unseal();
    return waiting;
  });
  await world.pass(60_000);
  const rotations = named('vault rotate database/creds/{role}');
  expect(rotations.flatMap(linksOf)).toContain(idOf(span));
});

it('a failed issue is an error with its code', async () => {
  const connection = world.connect();
  world.vault.databaseDown();
  await world.clock.until(connection.leases.get('database/creds/app').catch(() => undefined));
  const [issue] = named('vault issue database/creds/{role}');
  expect(issue?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'VAULT_BACKEND_FAILED' });
  expect(issue?.attributes).not.toHaveProperty('nestjs_vault.serial');
  world.vault.databaseDown(false);
});

it('every span has ended, and none holds a secret', async () => {
  const connection = world.connect();
  const { data } = await world.clock.until(connection.leases.get<{ password: string }>('database/creds/app'));
  await world.clock.until(connection.secrets.write('app', { url: 'canary-in-a-write' }));
  await world.clock.until(connection.secrets.read('app'));
  const tokens = world.vault.history.map(({ body }) => JSON.stringify(body));
  expect(tokens.length).toBeGreaterThan(2);
  await world.end();
  const [login] = world.vault.requests(/login/);
  const { secret_id: secretId = '' } = (login?.body ?? {}) as { secret_id?: string };
  const text = JSON.stringify([
    telemetry.spans.map(({ name, attributes, status, events, links }) => [
      name,
      attributes,
      status,
      events,
      links,
    ]),
    await telemetry.series(),
  ]);
  expect(text).toContain('vault revoke-self');
  for (const canary of [data.reveal().password, 'canary-in', secretId]) {
    expect(canary.length).toBeGreaterThan(8);
    expect(text).not.toContain(canary);
  }
});

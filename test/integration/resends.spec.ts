import type { RequestListener } from 'node:http';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { client, closeAll, Recorder, status, vault, who } from '../support/recorder.js';
import { Telemetry } from '../support/telemetry.js';

const REFUSED = 'http://127.0.0.1:1';
let telemetry: Telemetry;

beforeEach(() => {
  telemetry = new Telemetry();
});
afterEach(async () => {
  await closeAll();
  telemetry.end();
});

const isRead = (request: { url?: string | undefined }) => request.url?.endsWith('kv1/x') === true;
/** Answers of a working server, but for the first read. */
const firstRead = (listener: RequestListener): RequestListener => {
  let reads = 0;
  return (request, response) =>
    (isRead(request) && reads++ === 0 ? listener : vault('server'))(request, response);
};
const dropped: RequestListener = (request) => request.socket.destroy();
const behind = status(412, { errors: ['required index state not present'] });

/** Resends by reason, and those of the span of the read. */
async function resends(): Promise<{ counted: Record<string, number>; ofRead: unknown }> {
  const all = (await telemetry.series()).filter(({ name }) => name === 'nestjs_vault.request.resends');
  const read = telemetry.spans.findLast(({ name }) => name.startsWith('vault read kv1/'));
  return {
    counted: Object.fromEntries(all.map(({ attributes, value }) => [attributes['reason'], value])),
    ofRead: read?.attributes['http.request.resend_count'],
  };
}

it('a connection that was dropped while it was idle: one request, one resend', async () => {
  const server = await Recorder.start(firstRead(dropped));
  const using = client(server.address);
  // Over the connection of other requests, which the server has answered.
  await using.read('kv1/other');
  expect(await who(using)).toBe('server');
  expect(await resends()).toEqual({ counted: { 'stale-socket': 1 }, ofRead: 1 });
  expect(await telemetry.value('request.duration', { operation: 'read' })).toBe(2);
});

it('an address that does not answer, and one that does not serve', async () => {
  const sealed = await Recorder.start(status(503, { errors: ['Vault is sealed'] }));
  const server = await Recorder.start(vault('server'));
  // The lookup of the token prefers the address that answers, and the read goes there at once.
  expect(await who(client([REFUSED, sealed.address, server.address]))).toBe('server');
  expect(await resends()).toEqual({ counted: { 'other-address': 2 }, ofRead: undefined });
});

it('a standby that names its leader', async () => {
  const leader = await Recorder.start(vault('leader'));
  const redirect = status(307, '', { location: `${leader.address}/v1/kv1/x` });
  const standby = await Recorder.start(firstRead(redirect));
  expect(await who(client([standby.address, leader.address]))).toBe('leader');
  expect(await resends()).toEqual({ counted: { redirect: 1 }, ofRead: 1 });
  const { attributes } = telemetry.spans.at(-1) ?? {};
  expect(attributes?.['server.port']).toBe(leader.port);
});

it('a node that lacks a state', async () => {
  const server = await Recorder.start((request, response) => {
    response.setHeader('x-vault-index', Buffer.from('v1:1:2:3:canary').toString('base64'));
    later(request, response);
  });
  const later = firstRead(behind);
  expect(await who(client(server.address))).toBe('server');
  expect(await resends()).toEqual({ counted: { behind: 1 }, ofRead: 1 });
});

it('without any of them, none', async () => {
  const server = await Recorder.start(vault('server'));
  expect(await who(client(server.address))).toBe('server');
  expect(await resends()).toEqual({ counted: {}, ofRead: undefined });
});

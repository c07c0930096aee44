import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { failureOf } from '../support/leaks.js';
import { client, closeAll, Recorder, redirect, status, TOKEN, vault, who } from '../support/recorder.js';

let folder: string;
let socket: string;
let address: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nv-'));
  socket = join(folder, 'agent.sock');
  address = `unix://${socket}`;
});
afterEach(closeAll);
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(process.platform === 'win32')('a Unix socket', () => {
  it('carries logins and requests, without `allowHttp`, for the host "localhost"', async () => {
    const server = await Recorder.atSocket(socket, vault('agent'));
    expect(await who(client(address))).toBe('agent');
    expect(server.requests).toMatchObject([
      { line: 'GET /v1/auth/token/lookup-self', token: TOKEN, host: 'localhost' },
      { line: 'GET /v1/kv1/x', token: TOKEN, host: 'localhost' },
    ]);
  });

  it('without a server: each reason has a remedy of its own, and names the socket', async () => {
    const missing = await failureOf(who(client(`unix://${folder}/missing.sock`)));
    expect(missing).toMatchObject({
      code: 'VAULT_UNREACHABLE',
      hint: expect.stringMatching(/There is no socket/),
    });
    expect(missing.message).toContain(`No connection to unix://${folder}/missing.sock (ENOENT)`);
    expect(missing.outcomeUnknown).toBeUndefined();
    const file = join(folder, 'file.sock');
    writeFileSync(file, '');
    const refused = await failureOf(who(client(`unix://${file}`)));
    expect(refused).toMatchObject({
      code: 'VAULT_UNREACHABLE',
      hint: expect.stringMatching(/No server listens/),
    });
  });

  it('is one of several addresses: the next one is used if it is missing or does not serve', async () => {
    const server = await Recorder.start(vault('server'));
    expect(await who(client([address, server.address]))).toBe('server');
    await Recorder.atSocket(socket, status(503, { errors: ['Vault is sealed'] }));
    expect(await who(client([address, server.address]))).toBe('server');
    const agent = await Recorder.atSocket(join(folder, 'two.sock'), vault('second'));
    expect(await who(client([address, `unix://${folder}/two.sock`]))).toBe('second');
    expect(agent.lines).toHaveLength(2);
  });

  it('a redirect from it leads to a configured address only', async () => {
    const leader = await Recorder.start(vault('leader'));
    await Recorder.atSocket(socket, (request, response) =>
      redirect(`${leader.address}${request.url}`)(request, response),
    );
    expect(await who(client([address, leader.address]))).toBe('leader');
    const error = await failureOf(who(client(address)));
    expect(error.code).toBe('VAULT_STANDBY');
    expect(error.message).toContain(`redirects to ${leader.address}`);
  });

  it('a redirect without a host is followed over it', async () => {
    await Recorder.atSocket(socket, (request, response) =>
      request.url === '/v1/kv1/x'
        ? redirect('/v1/kv1/y')(request, response)
        : vault('agent')(request, response),
    );
    expect(await who(client(address))).toBe('agent');
  });
});

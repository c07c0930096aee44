import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askProvider } from '../../../lib/auth/ask-provider.js';
import type { LoginContext } from '../../../lib/auth/auth-method.js';
import { optionalPackage } from '../../../lib/errors/optional-package.js';
import { awsIam, azure, gcp, type AuthMethod } from '../../../lib/index.js';
import { cloudToken } from '../../auth/support/cloud-tokens.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { loginSent } from '../../support/login-sent.js';

const TOKEN = cloudToken(Date.now(), { sub: 'orders', aud: 'http://vault/app' });
const VARIABLES = [
  'IDENTITY_ENDPOINT',
  'IDENTITY_HEADER',
  'AZURE_FEDERATED_TOKEN_FILE',
  'AZURE_TENANT_ID',
  'AZURE_CLIENT_ID',
  'AZURE_AUTHORITY_HOST',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_EC2_METADATA_DISABLED',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
];

/** The body of the login that a method sends. */
const bodyOf = async (method: AuthMethod) => (await loginSent(method)).body as Record<string, any>;

const context = { signal: new AbortController().signal } as LoginContext;

describe('the provider of a cloud', () => {
  let provider: Server;
  let address: string;
  let asked: { url: string; headers: IncomingMessage['headers']; body: string }[];
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  const before = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));

  beforeEach(async () => {
    for (const name of VARIABLES) delete process.env[name];
    asked = [];
    provider = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        asked.push({ url: request.url ?? '', headers: request.headers, body });
        answer(request, response);
      });
    });
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    provider.closeAllConnections();
    await new Promise((resolve) => provider.close(resolve));
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  const json = (value: object) => (_: IncomingMessage, response: ServerResponse) =>
    void response.end(JSON.stringify(value));

  it('gcp: an identity token of the metadata server, for the audience of the role', async () => {
    answer = (_, response) => void response.setHeader('Metadata-Flavor', 'Google').end(`${TOKEN}\n`);
    expect(await bodyOf(gcp({ role: 'app', metadataAddress: address }))).toEqual({ role: 'app', jwt: TOKEN });
    const url = new URL(asked[0]?.url ?? '', address);
    expect(url.pathname).toBe('/computeMetadata/v1/instance/service-accounts/default/identity');
    expect(Object.fromEntries(url.searchParams)).toEqual({ audience: 'http://vault/app', format: 'full' });
    expect(asked[0]?.headers['metadata-flavor']).toBe('Google');
  });

  it('gcp: a JWT that the IAM API signs', async () => {
    const requests: { url: string; data: any }[] = [];
    const googleAuth = {
      getCredentials: async () => ({ client_email: 'orders@project.iam.gserviceaccount.com' }),
      request: async (options: { url: string; data: object }) => {
        requests.push(options);
        return { data: { signedJwt: TOKEN } };
      },
    };
    expect(await bodyOf(gcp({ role: 'app', type: 'iam', googleAuth }))).toMatchObject({ jwt: TOKEN });
    expect(requests[0]?.url).toMatch(/\/serviceAccounts\/orders%40project.iam.gserviceaccount.com:signJwt$/);
    const { sub, aud, exp } = JSON.parse(requests[0]?.data.payload as string);
    expect([sub, aud]).toEqual(['orders@project.iam.gserviceaccount.com', 'http://vault/app']);
    expect(exp * 1_000 - Date.now()).toBeLessThanOrEqual(600_000);
  });

  it.each([
    [{ status: 403 }, 'VAULT_SOURCE_UNREADABLE', /failed with status 403/],
    [{ status: 503 }, 'VAULT_LOGIN_PROVIDER_UNAVAILABLE', /failed with status 503/],
    [new Error('canary-google'), 'VAULT_LOGIN_PROVIDER_UNAVAILABLE', /failed with Error/],
  ])('gcp: the IAM API fails with %s', async (problem, code, message) => {
    const googleAuth = {
      getCredentials: async () => ({}),
      request: () => Promise.reject(problem as Error),
    };
    const method = gcp({ role: 'app', type: 'iam', serviceAccount: 'orders', googleAuth });
    const error = await failureOf(bodyOf(method));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expectNoLeak(error, ['canary-google']);
    const other = await failureOf(bodyOf(gcp({ role: 'app', type: 'iam', googleAuth })));
    expect(other).toMatchObject({
      code: 'VAULT_SOURCE_UNREADABLE',
      hint: expect.stringContaining('serviceAccount'),
    });
  });

  it('azure: the managed identity of a virtual machine, with its names', async () => {
    const compute = {
      name: 'vm-1',
      vmScaleSetName: '',
      subscriptionId: 's',
      resourceGroupName: 'g',
      tags: 'x',
    };
    answer = (request, response) =>
      json(request.url?.startsWith('/metadata/instance') ? { compute } : { access_token: TOKEN })(
        request,
        response,
      );
    const method = azure({
      role: 'app',
      resource: 'https://vault',
      clientId: 'client',
      metadataAddress: address,
    });
    expect(await bodyOf(method)).toEqual({
      role: 'app',
      jwt: TOKEN,
      vm_name: 'vm-1',
      vmss_name: '',
      subscription_id: 's',
      resource_group_name: 'g',
    });
    const url = new URL(asked[0]?.url ?? '', address);
    expect(url.pathname).toBe('/metadata/identity/oauth2/token');
    expect(Object.fromEntries(url.searchParams)).toEqual({
      'api-version': '2018-02-01',
      resource: 'https://vault',
      client_id: 'client',
    });
    expect(asked.map(({ headers }) => headers['metadata'])).toEqual(['true', 'true']);
    expect(await method.missing?.(context)).toBeUndefined();
  });

  it('azure: the identity endpoint of App Service', async () => {
    answer = json({ access_token: TOKEN });
    const method = azure({ role: 'app', identity: 'app-service', resourceId: '/subscriptions/s/x' });
    expect(await method.missing?.(context)).toMatch(/IDENTITY_ENDPOINT is unset/);
    process.env['IDENTITY_ENDPOINT'] = `${address}/msi/token`;
    process.env['IDENTITY_HEADER'] = 'canary-header';
    expect(await bodyOf(method)).toEqual({ role: 'app', jwt: TOKEN, resource_id: '/subscriptions/s/x' });
    expect(asked[0]?.url).toBe(
      '/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fmanagement.azure.com%2F',
    );
    expect(asked[0]?.headers['x-identity-header']).toBe('canary-header');
    expect(await method.missing?.(context)).toBeUndefined();
  });

  it('azure: a workload identity is exchanged', async () => {
    answer = json({ access_token: TOKEN });
    const method = azure({ role: 'app', identity: 'workload' });
    expect(await method.missing?.(context)).toMatch(/AZURE_FEDERATED_TOKEN_FILE is unset/);
    const folder = await mkdtemp(join(tmpdir(), 'workload-'));
    await writeFile(join(folder, 'token'), 'canary-federated\n');
    process.env['AZURE_FEDERATED_TOKEN_FILE'] = join(folder, 'token');
    process.env['AZURE_TENANT_ID'] = 'tenant';
    process.env['AZURE_CLIENT_ID'] = 'client';
    process.env['AZURE_AUTHORITY_HOST'] = `${address}/`;
    expect(await bodyOf(method)).toEqual({ role: 'app', jwt: TOKEN });
    expect(asked[0]?.url).toBe('/tenant/oauth2/v2.0/token');
    expect(Object.fromEntries(new URLSearchParams(asked[0]?.body))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'client',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: 'canary-federated',
      scope: 'https://management.azure.com//.default',
    });
    answer = (_, response) => void response.writeHead(401).end('canary-answer');
    const error = await failureOf(bodyOf(method));
    expect(error.message).toMatch(/token endpoint of Microsoft Entra ID at .*\/tenant\/oauth2.* status 401/);
    expectNoLeak(error, ['canary-federated', 'canary-answer']);
    await rm(folder, { recursive: true });
  });

  const HTML = '<html>canary-page</html>';
  it.each([
    ['a page', 200, HTML, 'VAULT_SOURCE_UNREADABLE', /something else than a JSON object/],
    [
      'JSON without a token',
      200,
      '{"canary-page":1}',
      'VAULT_SOURCE_UNREADABLE',
      /without an `access_token`/,
    ],
    ['404', 404, HTML, 'VAULT_LOGIN_PROVIDER_UNAVAILABLE', /status 404/],
    ['503', 503, HTML, 'VAULT_LOGIN_PROVIDER_UNAVAILABLE', /status 503/],
    ['400', 400, HTML, 'VAULT_SOURCE_UNREADABLE', /status 400/],
    ['a redirect', 302, HTML, 'VAULT_SOURCE_UNREADABLE', /status 302/],
    ['a megabyte', 200, 'x'.repeat(1_000_000), 'VAULT_LOGIN_PROVIDER_UNAVAILABLE', /answer too large/],
  ])('it answers %s', async (_what, status, body, code, message) => {
    answer = (_, response) => void response.writeHead(status, { location: '/elsewhere' }).end(body);
    const error = await failureOf(bodyOf(azure({ role: 'app', metadataAddress: address })));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(
      `the metadata server of Azure at ${address}/metadata/identity/oauth2/token`,
    );
    expect(asked).toHaveLength(1);
    expectNoLeak(error, ['canary-page']);
  });

  it('gcp: a page instead of a token is not sent', async () => {
    answer = (_, response) => void response.setHeader('Metadata-Flavor', 'Google').end(HTML);
    const error = await failureOf(bodyOf(gcp({ role: 'app', metadataAddress: address })));
    expect(error.code).toBe('VAULT_LOGIN_INPUT_INVALID');
    expectNoLeak(error, ['canary-page']);
  });

  it('a captive portal is no metadata server', async () => {
    answer = (_, response) => void response.end(HTML);
    const google = gcp({ role: 'app', metadataAddress: address });
    expect(await google.missing?.(context)).toMatch(/another server without metadata-flavor: Google$/);
    const error = await failureOf(bodyOf(google));
    expect(error.code).toBe('VAULT_SOURCE_UNREADABLE');
    expectNoLeak(error, ['canary-page']);
    const microsoft = azure({ role: 'app', metadataAddress: address });
    expect(await microsoft.missing?.(context)).toMatch(/something else than a JSON object$/);
  });

  it.each([
    [{ url: new URL('file:///etc/passwd') }, /cannot be asked \(ERR_INVALID_PROTOCOL\)/],
    [{ headers: { authorization: 'canary-token\nx' } }, /cannot be asked \(ERR_INVALID_CHAR\)/],
  ])('an address or a header that cannot be sent needs an operator: %#', async (part, message) => {
    const error = await failureOf(askProvider({ provider: 'the stub', url: new URL(address), ...part }));
    expect(error.code).toBe('VAULT_SOURCE_UNREADABLE');
    expect(error.message).toMatch(message);
    expectNoLeak(error, ['canary-token']);
  });

  it.each([
    ['nothing', () => undefined],
    ['no keys', async () => ({})],
    ['keys of another type', async () => ({ accessKeyId: 5, secretAccessKey: 'canary-key' })],
  ])('awsIam: a provider that returns %s', async (_, credentials) => {
    const method = awsIam({ credentials: credentials as never });
    const error = await failureOf(bodyOf(method));
    expect(error).toMatchObject({
      code: 'VAULT_SOURCE_UNREADABLE',
      message: expect.stringContaining('returned no keys'),
    });
    expectNoLeak(error, ['canary-key']);
    expect(await method.missing?.(context)).toBe('no AWS credentials were found');
  });

  it('awsIam: a provider that throws at once', async () => {
    const credentials = () => {
      throw new Error('canary-provider');
    };
    const error = await failureOf(bodyOf(awsIam({ credentials })));
    expect(error.code).toBe('VAULT_LOGIN_PROVIDER_UNAVAILABLE');
    expectNoLeak(error, ['canary-provider']);
  });

  it('it does not answer', async () => {
    answer = () => undefined;
    const url = new URL(address);
    const slow = await failureOf(askProvider({ provider: 'the stub', url, limit: 20 }));
    expect(slow).toMatchObject({ code: 'VAULT_LOGIN_PROVIDER_UNAVAILABLE' });
    expect(slow.message).toContain(`the stub at ${address}/ has not answered within 0.02 s`);
    const ending = new AbortController();
    const aborted = failureOf(askProvider({ provider: 'the stub', url, signal: ending.signal }));
    ending.abort();
    expect((await aborted).code).toBe('VAULT_LOGIN_PROVIDER_UNAVAILABLE');
  });

  it('it is down', async () => {
    const nowhere = 'http://127.0.0.1:1';
    for (const method of [
      gcp({ role: 'app', metadataAddress: nowhere }),
      azure({ role: 'app', metadataAddress: nowhere }),
    ]) {
      const error = await failureOf(bodyOf(method));
      expect(error.code).toBe('VAULT_LOGIN_PROVIDER_UNAVAILABLE');
      expect(error.message).toMatch(/at http:\/\/127\.0\.0\.1:1\/.* does not answer \(ECONNREFUSED\)/);
      const missed = await failureOf(method.missing?.(context) as Promise<unknown>);
      expect(missed.code).toBe('VAULT_LOGIN_PROVIDER_UNAVAILABLE');
      expect(missed.message).toMatch(/does not answer \(ECONNREFUSED\)/);
    }
  });

  it('awsIam: the chain of the SDK, and the signed request', async () => {
    process.env['AWS_ACCESS_KEY_ID'] = 'AKIAIOSFODNN7EXAMPLE';
    process.env['AWS_SECRET_ACCESS_KEY'] = 'canary-secret-key';
    process.env['AWS_SESSION_TOKEN'] = 'canary-session-token';
    const method = awsIam({ role: 'app', region: 'eu-central-1', serverId: 'vault.internal' });
    const { iam_request_url, iam_request_body, iam_request_headers, ...rest } = await bodyOf(method);
    const text = (encoded: string) => Buffer.from(encoded, 'base64').toString();
    expect(rest).toEqual({ role: 'app', iam_http_request_method: 'POST' });
    expect(text(iam_request_url)).toBe('https://sts.eu-central-1.amazonaws.com/');
    expect(text(iam_request_body)).toBe('Action=GetCallerIdentity&Version=2011-06-15');
    const headers = JSON.parse(text(iam_request_headers));
    expect(headers).toMatchObject({
      host: 'sts.eu-central-1.amazonaws.com',
      'x-vault-aws-iam-server-id': 'vault.internal',
      'x-amz-security-token': 'canary-session-token',
    });
    expect(headers.authorization).toMatch(
      /Credential=AKIAIOSFODNN7EXAMPLE\/\d{8}\/eu-central-1\/sts\/aws4_request, SignedHeaders=[^,]*x-vault-aws-iam-server-id/,
    );
    expectNoLeak(headers, ['canary-secret-key']);
    expect(await method.missing?.(context)).toBeUndefined();
  });

  it('awsIam: no credentials', async () => {
    process.env['AWS_EC2_METADATA_DISABLED'] = 'true';
    process.env['AWS_CONFIG_FILE'] = process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/nonexistent/aws';
    const error = await failureOf(bodyOf(awsIam()));
    expect(error.code).toBe('VAULT_SOURCE_UNREADABLE');
    expect(error.hint).toMatch(/assign an IAM role/);
    expect(await awsIam().missing?.(context)).toBe('no AWS credentials were found');
    const failing = awsIam({ credentials: () => Promise.reject(new Error('canary-provider')) });
    const other = await failureOf(bodyOf(failing));
    expect(other.code).toBe('VAULT_LOGIN_PROVIDER_UNAVAILABLE');
    expectNoLeak(other, ['canary-provider']);
  });

  it('a package that is not installed: the error has the command', async () => {
    const missing = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
    const error = await failureOf(optionalPackage('`auth: awsIam`', 'a b', () => Promise.reject(missing)));
    expect(error.code).toBe('VAULT_CONFIG_INVALID');
    expect(error.message).toContain('`auth: awsIam` cannot load a b: not installed.');
    expect(error.hint).toContain('npm install a b');
  });

  it.each([
    [gcp({} as never), /needs a `role`/],
    [gcp({ role: 'app', type: 'vm' as never }), /`type` that is neither "gce" nor "iam"/],
    [gcp({ role: 'app', metadataAddress: 'metadata' }), /`metadataAddress` that is not an http/],
    [azure({ role: 'app', identity: 'toString' as never }), /`identity` that is not "vm"/],
    [awsIam({ credentials: 'keys' as never }), /`credentials` that are neither keys nor a function/],
    [awsIam({ region: 5 as never }), /`region`/],
    [awsIam({ credentials: {} as never }), /credentials\.accessKeyId.*credentials\.secretAccessKey/],
  ])('refuses invalid options: %#', ({ problems }, problem) => {
    expect(problems?.join()).toMatch(problem);
  });
});

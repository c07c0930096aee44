import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VaultOptions } from '../../../lib/config/options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus, type VaultEvent } from '../../../lib/events/events.js';
import {
  appRole,
  firstAvailable,
  fromEnv,
  fromFile,
  fromWrappedToken,
  Secret,
  token,
  vaultAgent,
  type AuthMethod,
  type LoginContext,
} from '../../../lib/index.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';
import { simulatedAgent } from '../../support/simulated-agent.js';

const UNSET = 'NESTJS_VAULT_TEST_UNSET';
const CANARY = 'canary-wrong-secret';

describe('firstAvailable', () => {
  let clock: VirtualClock;
  let vault: SimulatedVault;
  let connection: VaultConnection | undefined;
  let events: VaultEvent[];
  let folder: string;
  let role: { roleId: string; secretId: () => string };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'first-'));
    clock = new VirtualClock();
    vault = new SimulatedVault({ clock });
    role = vault.appRole('app', { tokenTtl: '10m', tokenMaxTtl: '1h' });
    events = [];
  });
  afterEach(async () => {
    if (connection) await clock.until(connection.close());
    connection = undefined;
    await rm(folder, { recursive: true });
  });

  const start = (auth: AuthMethod, options: Partial<VaultOptions> = {}, transport = vault.transport()) => {
    const bus = new EventBus();
    bus.events$.subscribe((event) => void events.push(event));
    const resolved = resolveOptions({ address: 'https://vault:8200', auth, ...options });
    connection = new VaultConnection(resolved, bus, clock, transport);
    return clock.until(connection.login());
  };
  const notices = () => events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
  const byRole = (secretId: Parameters<typeof appRole>[0]['secretId']) =>
    appRole({ roleId: role.roleId, ...(secretId !== undefined && { secretId }) });

  it('chooses the first method whose inputs are there, and says why the others were not', async () => {
    const file = join(folder, 'jwt');
    await start(
      firstAvailable(
        byRole(fromFile(file)),
        token(fromEnv(UNSET)),
        byRole(fromWrappedToken(fromEnv(UNSET))),
        byRole(role.secretId),
        token('root'),
      ),
    );
    const variable = `environment variable ${UNSET} is unset or empty`;
    expect(notices()).toEqual([
      'Logs in with approle, method 4 of firstAvailable. Without their inputs: ' +
        `1. approle (file ${file} cannot be read (ENOENT)); 2. token (${variable}); 3. approle (${variable}).`,
    ]);
    expect(vault.history.map(({ path }) => path)).toEqual(['/v1/auth/approle/login']);
  });

  it('keeps its choice from the first success on, and looks again before it', async () => {
    const file = join(folder, 'secret-id');
    const wrong = join(folder, 'wrong');
    await writeFile(wrong, CANARY);
    const auth = firstAvailable(byRole(fromFile(file)), byRole(fromFile(wrong)));
    const error = await failureOf(start(auth));
    expect(error.code).toBe('VAULT_LOGIN_INPUT_INVALID');
    expectNoLeak([error, events], [CANARY]);
    await writeFile(file, role.secretId());
    await clock.until((connection as VaultConnection).close());
    await start(auth);
    // The file of the chosen method is gone at the next login: its last value serves, and no other method does.
    await rm(file);
    await clock.advance(2 * 60 * 60_000);
    expect((connection as VaultConnection).status.session.sequence).toBeGreaterThan(1);
    expect(notices().filter((text) => text.includes('method 1'))).toHaveLength(1);
  });

  it('without the inputs of any method the error names each', async () => {
    const error = await failureOf(start(firstAvailable(byRole(fromEnv(UNSET)), token(new Secret('')))));
    expect(error.code).toBe('VAULT_SOURCE_UNREADABLE');
    expect(error.message).toContain('1. approle (environment variable');
    expect(error.message).toContain('2. token (token is empty)');
    expect(vault.history).toEqual([]);
  });

  it.each([true, false])('an agent that attaches a token (%s) is one of the methods', async (attaches) => {
    const agent = simulatedAgent(vault.transport(), attaches ? 'root' : undefined);
    await start(firstAvailable(vaultAgent(), byRole(role.secretId)), {}, agent);
    expect(notices()[0]).toMatch(
      attaches
        ? /^Logs in with agent, method 1/
        : /approle, method 2.*1\. agent \(No agent attached a valid token/,
    );
    expect(vault.count(/lookup-self/)).toBe(attaches ? 1 : 2);
  });

  it('a watched token stays watched', async () => {
    const file = join(folder, 'token');
    await writeFile(file, 'root');
    await start(firstAvailable(byRole(fromEnv(UNSET)), token(fromFile(file))));
    await clock.advance(10_500);
    const { roleId, secretId } = role;
    const body = JSON.stringify({ role_id: roleId, secret_id: secretId() });
    const answer = await vault
      .transport()
      .send({ method: 'POST', path: '/v1/auth/approle/login', headers: {}, timeout: 1_000, body });
    await writeFile(file, JSON.parse(answer.body as string).auth.client_token as string);
    await clock.advance(20_500);
    expect(events).toContainEqual(expect.objectContaining({ type: 'login', reason: 'source', sequence: 2 }));
  });

  it('a method that makes tokens and has a version logs in once', async () => {
    const method = byRole(role.secretId);
    await start(firstAvailable(token(fromEnv(UNSET)), { ...method, version: async () => 'certificate' }));
    await clock.advance(60_000);
    expect(events.filter(({ type }) => type === 'login')).toHaveLength(1);
  });

  it.each([
    ['the chosen method', 60_000, 60_000],
    ['no method that was not chosen', 1_000, 1_000],
  ])('the start and its login wait as long as %s', async (_, timeout, ends) => {
    const slow = { ...byRole(fromEnv(UNSET)), timeout: 90_000 };
    const person: AuthMethod = { name: 'person', timeout, login: () => new Promise<never>(() => undefined) };
    const startup = { timeout: 0 };
    const started = clock.monotonic();
    const error = await failureOf(start(firstAvailable(slow, person), { startup }));
    expect(error.code).toBe('VAULT_TIMEOUT');
    expect(clock.monotonic() - started).toBe(ends);
  });

  it('each connection chooses for itself', async () => {
    const file = join(folder, 'secret-id');
    const auth = firstAvailable(byRole(fromFile(file)), byRole(role.secretId));
    await start(auth);
    const first = connection as VaultConnection;
    await writeFile(file, role.secretId());
    await start(auth);
    expect(notices().map((text) => text.slice(0, 34))).toEqual([
      'Logs in with approle, method 2 of ',
      'Logs in with approle, method 1 of ',
    ]);
    await clock.until(first.close());
  });

  it('a login that succeeds after its time limit does not change the choice', async () => {
    const late: AuthMethod = {
      name: 'late',
      timeout: 5_000,
      missing: async () => (clock.monotonic() - began < 1_000 ? undefined : 'the file is gone'),
      async login(context) {
        await new Promise<void>((resolve) => clock.setTimer(20_000, resolve));
        return other.login(context);
      },
    };
    const began = clock.monotonic();
    const other = byRole(role.secretId);
    const logins: string[] = [];
    const kept = {
      ...other,
      name: 'kept',
      login: (given: LoginContext) => (logins.push('kept'), other.login(given)),
    };
    await start(firstAvailable(late, kept));
    await clock.advance(3 * 60 * 60_000);
    expect((connection as VaultConnection).status.session.sequence).toBeGreaterThan(2);
    expect(logins.length).toBeGreaterThanOrEqual(2);
    expect(notices().map((text) => text.split(',')[0])).toEqual(['Logs in with late', 'Logs in with kept']);
  });

  it('an agent that gets its token later: the start waits for it', async () => {
    const agent = simulatedAgent(vault.transport());
    clock.setTimer(3_000, () => (agent.token = 'root'));
    await start(firstAvailable(vaultAgent(), byRole(fromEnv(UNSET))), {}, agent);
    expect(notices()).toEqual(['Logs in with agent, method 1 of firstAvailable.']);
  });

  it('the error of a start that waited names the agent, and is transient', async () => {
    const agent = simulatedAgent(vault.transport());
    const auth = firstAvailable(vaultAgent(), byRole(fromEnv(UNSET)));
    const error = await failureOf(start(auth, { startup: { timeout: 5_000 } }, agent));
    expect(error.code).toBe('VAULT_LOGIN_PROVIDER_UNAVAILABLE');
    expect(error.message).toMatch(
      /1\. agent \(No agent attached a valid token to a request without one\); 2\. approle \(environment variable/,
    );
    expect(clock.monotonic()).toBeGreaterThan(2_000);
  });

  it('a provider that misses once is asked again before a later method is chosen', async () => {
    const agent = simulatedAgent(vault.transport());
    const later = { ...byRole(role.secretId), missing: async () => void (agent.token = 'root') };
    await start(firstAvailable(vaultAgent(), later), {}, agent);
    expect(notices()).toEqual(['Logs in with agent, method 1 of firstAvailable.']);
  });

  it.each([
    [firstAvailable(), /needs at least one auth method/],
    [
      firstAvailable(token('x'), 'x' as never),
      /method 2 of `auth: firstAvailable`: `auth` must be an auth method/,
    ],
    [firstAvailable(token(5 as never)), /method 1 of .*`auth: token` needs a source/],
  ])('refuses invalid methods: %#', (auth, problem) => {
    expect(() => resolveOptions({ address: 'https://vault:8200', auth })).toThrow(problem);
  });
});

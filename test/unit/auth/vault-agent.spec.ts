import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VaultOptions } from '../../../lib/config/options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus, type VaultEvent } from '../../../lib/events/events.js';
import { vaultAgent } from '../../../lib/index.js';
import type { UserData } from '../../../lib/leases/user-credentials.js';
import { failureOf } from '../../support/leaks.js';
import { simulatedAgent, type SimulatedAgent } from '../../support/simulated-agent.js';
import { asker } from '../testing/support.js';

const PATH = 'database/creds/app';

describe.each(['openbao', 'vault'] as const)('an agent in front of %s', (dialect) => {
  let clock: VirtualClock;
  let vault: SimulatedVault;
  let agent: SimulatedAgent;
  let connection: VaultConnection | undefined;
  let events: VaultEvent[];

  beforeEach(async () => {
    clock = new VirtualClock();
    vault = new SimulatedVault({ clock, dialect });
    vault.databaseRole('app', { defaultTtl: '1h' });
    agent = simulatedAgent(vault.transport());
    agent.token = await loggedIn();
    vault.clearHistory();
    events = [];
  });
  afterEach(async () => {
    if (connection) await clock.until(connection.close());
    connection = undefined;
  });

  /** The agent logs in at the server. */
  const loggedIn = async (ttl = '10m') => {
    const { roleId, secretId } = vault.appRole('app', { tokenTtl: ttl, tokenMaxTtl: '2h' });
    const body = { role_id: roleId, secret_id: secretId() };
    const { auth } = (await asker(vault)('POST', 'auth/approle/login', body)).body;
    return auth.client_token as string;
  };
  const start = (options: Partial<VaultOptions> = {}) => {
    const bus = new EventBus();
    bus.events$.subscribe((event) => void events.push(event));
    const resolved = resolveOptions({ address: 'http://localhost:8100', auth: vaultAgent(), ...options });
    connection = new VaultConnection(resolved, bus, clock, agent);
    return clock.until(connection.login());
  };
  const issued = () => clock.until((connection as VaultConnection).leases.get<UserData>(PATH));
  const logins = () => events.filter(({ type }) => type === 'login');

  it('one look-up is the login; the agent token serves requests, is renewed, and is not revoked', async () => {
    await start();
    expect(vault.history.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /v1/auth/token/lookup-self',
    ]);
    const { username, password } = (await issued()).data.reveal();
    await clock.advance(30 * 60_000);
    expect(vault.isValid(username, password)).toBe(true);
    expect(logins()).toHaveLength(1);
    await clock.until((connection as VaultConnection).close());
    expect(vault.count(/revoke-self/)).toBe(0);
    expect(events).toContainEqual(expect.objectContaining({ type: 'token-ended', how: 'given' }));
    // The lease is retired by itself.
    await clock.advance(60_000);
    expect(vault.leaseCount).toBe(0);
  });

  it('another token of the agent is noticed within ten seconds, and the leases are issued again', async () => {
    await start();
    await issued();
    await clock.advance(1_000);
    agent.token = await loggedIn();
    await clock.advance(10_500);
    expect(logins()).toMatchObject([{ reason: 'start' }, { reason: 'source' }]);
    await clock.advance(5 * 60_000);
    expect(events).toContainEqual(expect.objectContaining({ type: 'rotated', reason: 'token' }));
    expect(logins()).toHaveLength(2);
  });

  /** Agents with tokens of their own that answer in turn, two requests each. */
  const several = (tokens: readonly string[]): SimulatedAgent => {
    let sent = 0;
    const one = agent;
    return {
      ...one,
      send: (request) => one.send.call({ ...one, token: tokens[Math.floor(sent++ / 2) % 2] }, request),
    };
  };

  it('several agents behind one address: leases are not issued again and again, and a warning says so', async () => {
    const first = await loggedIn('2h');
    await clock.advance(1_000);
    agent = several([first, await loggedIn('2h')]);
    await start();
    await issued();
    await clock.advance(10 * 60_000);
    expect(vault.count(/database\/creds/)).toBeLessThanOrEqual(2);
    expect(warnings().filter((code) => code === 'several-agents')).toHaveLength(1);
  });

  const warnings = () => events.flatMap((event) => (event.type === 'warning' ? [event.code] : []));

  it('one of several agents whose token was revoked: its refusals end no leases of the others', async () => {
    const first = await loggedIn('2h');
    await clock.advance(1_000);
    const second = await loggedIn('2h');
    agent = several([first, second]);
    await start();
    await issued();
    await clock.advance(30_000);
    vault.revokeToken(second);
    const { client } = connection as VaultConnection;
    let refused = 0;
    for (let request = 0; request < 120; request++) {
      await clock.advance(1_000);
      await clock.until(client.read('auth/token/lookup-self').catch(() => refused++));
    }
    // Each of these refusals led to a look-up, and that to another issue of each lease.
    expect(refused).toBeGreaterThan(20);
    expect(vault.count(/database\/creds/)).toBeLessThanOrEqual(3);
    expect((connection as VaultConnection).status.session.state).toBe('valid');
    expect(warnings().filter((code) => code === 'several-agents')).toHaveLength(1);
  });

  it('one of several agents that never had a token: its refusals end no leases of the other', async () => {
    agent = several([agent.token as string, 's.ofAnAgentThatHasLoggedInNowhere']);
    await start();
    await issued();
    const { client } = connection as VaultConnection;
    for (let request = 0; request < 120; request++) {
      await clock.advance(1_000);
      await clock.until(client.read('auth/token/lookup-self').catch(() => undefined));
    }
    expect(vault.count(/database\/creds/)).toBeLessThanOrEqual(3);
    expect(warnings().filter((code) => code === 'several-agents')).toHaveLength(1);
  });

  it('logins that meet the other agent: the leases stay', async () => {
    // They cannot be renewed, so a login looks them up again and again.
    const batch = async () => {
      const { roleId, secretId } = vault.appRole('app', { tokenTtl: '2h', tokenType: 'batch' });
      const body = { role_id: roleId, secret_id: secretId() };
      const { auth } = (await asker(vault)('POST', 'auth/approle/login', body)).body;
      await clock.advance(1_000);
      return auth.client_token as string;
    };
    agent = several([await batch(), await batch()]);
    await start();
    await issued();
    await clock.advance(100 * 60_000);
    expect(logins().length).toBeLessThanOrEqual(2);
    expect(vault.count(/database\/creds/)).toBeLessThanOrEqual(4);
  });

  it('a token that an operator revoked is told apart from a working one; the next of the agent is used', async () => {
    await start();
    await issued();
    vault.revokeToken(agent.token as string);
    await clock.advance(15 * 60_000);
    const { state, error } = (connection as VaultConnection).status.session;
    expect(state).toBe('expired');
    expect(error).toMatchObject({ code: 'VAULT_LOGIN_PROVIDER_UNAVAILABLE' });
    agent.token = await loggedIn();
    await clock.advance(10_500);
    expect((connection as VaultConnection).status.session.state).toBe('valid');
    await clock.advance(60_000);
    expect((await issued()).lease.serial).toBe(2);
  });

  it('the start waits for an agent that has no token yet', async () => {
    const { token } = agent;
    agent.token = undefined;
    const started = start();
    clock.setTimer(3_000, () => (agent.token = token));
    await started;
    expect((connection as VaultConnection).status.session.state).toBe('valid');
  });

  it('without an agent the error says so', async () => {
    agent.token = undefined;
    const error = await failureOf(start({ startup: { timeout: 1_000 } }));
    expect(error.code).toBe('VAULT_LOGIN_PROVIDER_UNAVAILABLE');
    expect(error.hint).toMatch(/`address`.*`auto_auth`.*use_auto_auth_token/);
  });
});

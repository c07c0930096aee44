import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { VaultRequestMessage } from 'nestjs-vault';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import type { VaultConnection } from '../../lib/connection/vault-connection.js';
import { auditedRequests, differences, type AuditedRequest } from '../support/audit-log.js';
import { closeConnections, connect } from '../support/connect.js';
import { eventually } from '../support/leased-postgres.js';
import { describeReal, realServer } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  type OpenBaoServer,
  type PostgresServer,
  type Provisioned,
} from '../support/servers.mjs';
import { Telemetry } from '../support/telemetry.js';

describeReal(`metrics beside the audit log of ${realServer.name}`, () => {
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let role: Provisioned;
  let telemetry: Telemetry;
  let read = 0;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao({ audit: true }), startPostgres()]);
    role = await provision(bao, postgres, {
      roles: ['one', 'two'].map((name) => ({ name, defaultTtl: '2s', maxTtl: '4s' })),
      approle: { token_ttl: '6s', token_max_ttl: '12s' },
    });
  });
  afterAll(() => Promise.all([bao?.stop(), postgres?.stop()]));

  beforeEach(() => {
    telemetry = new Telemetry();
    read = readFileSync(bao.auditFile as string, 'utf8').length;
  });
  afterEach(async () => {
    await closeConnections();
    telemetry.end();
  });

  /** The requests of this test in the audit log. */
  const audited = (): AuditedRequest[] =>
    auditedRequests(readFileSync(bao.auditFile as string, 'utf8').slice(read));
  const open = (): VaultConnection => {
    const { roleId, secretId } = role;
    return connect({ address: bao.address, auth: appRole({ roleId, secretId }), timeout: 2_000 }).connection;
  };
  const use = async (connection: VaultConnection) => {
    for (const name of ['one', 'two'])
      connection.leases.watch(`database/creds/${name}`, true).subscribe({ error: () => undefined });
    await connection.leases.get('database/creds/one');
  };
  const rotations = async () => (await telemetry.value('rotations')) ?? 0;

  it('every total is equal by kind, and every request_id leads to its line', async () => {
    const ids: string[] = [];
    const listener = (message: unknown) => {
      const { requestId } = (message as VaultRequestMessage).outcome ?? {};
      if (requestId) ids.push(requestId);
    };
    subscribe('nestjs-vault:request:end', listener);
    const connection = open();
    await use(connection);
    await connection.secrets.write('audited', { value: 1 });
    await connection.secrets.read('audited');
    await connection.secrets.list('/');
    await expect(connection.client.read('secret/data/none')).rejects.toThrow('VAULT_SECRET_NOT_FOUND');
    await expect(connection.client.read('sys/mounts')).rejects.toThrow('VAULT_PERMISSION_DENIED');
    await eventually(async () => expect(await rotations()).toBeGreaterThan(2));
    await closeConnections();
    unsubscribe('nestjs-vault:request:end', listener);
    const log = audited();
    expect(differences(await telemetry.series(), log)).toEqual([]);
    expect(new Set(log.map(({ operation }) => operation))).toEqual(
      new Set(['login', 'renew-self', 'renew-lease', 'read', 'list', 'write', 'revoke-self']),
    );
    expect(ids.length).toBeGreaterThan(10);
    expect(ids.filter((id) => log.filter((one) => one.id === id).length !== 1)).toEqual([]);
    // Faults would widen the bounds: without any, one request more or less is noticed.
    expect(differences(await telemetry.series(), log.slice(1))).not.toEqual([]);
    expect(differences(await telemetry.series(), [...log, log[0] as AuditedRequest])).not.toEqual([]);
  });

  it('through faults: leases revoked, tokens revoked, the server pauses', async () => {
    const connection = open();
    await use(connection);
    await bao.api('PUT', 'sys/leases/revoke-prefix/database/creds/one');
    await eventually(async () =>
      expect(await telemetry.value('rotations', { reason: 'lease-lost' })).toBeGreaterThan(0),
    );
    await bao.api('PUT', 'sys/leases/revoke-prefix/auth/approle/login');
    await eventually(async () =>
      expect(await telemetry.value('logins', { reason: 'token-lost' })).toBeGreaterThan(0),
    );
    await bao.pause();
    await sleep(2_500);
    await bao.resume();
    const before = await rotations();
    await eventually(async () => expect(await rotations()).toBeGreaterThan(before));
    await closeConnections();
    const log = audited();
    expect(differences(await telemetry.series(), log)).toEqual([]);
    expect(log.some(({ failed }) => failed)).toBe(true);
  });
});

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { AppModule } from '../../sample/04-mariadb/src/app.module.js';
import { Load } from '../../sample/common/load.mjs';
import { OrdersRepository } from '../../sample/04-mariadb/src/orders/orders.repository.js';
import { Applications } from '../support/applications.js';
import { rotations } from '../support/leased-mariadb.js';
import {
  connectionsInMariaDb,
  provisionMariaDb,
  startMariaDb,
  usersInMariaDb,
  type MariaDbServer,
} from '../support/mariadb.mjs';
import { describeMariaDb } from '../support/real-mariadb.js';
import { startOpenBao, type OpenBaoServer } from '../support/servers.mjs';

const file = (name: string) =>
  readFileSync(new URL(`../../sample/04-mariadb/${name}`, import.meta.url), 'utf8');

/** In the words of the sample's README. */
const ADMIN = /CREATE USER vault_admin.*WITH GRANT OPTION/.exec(file('README.md'))?.[0] ?? '';

describeMariaDb('sample 04, on MariaDB', () => {
  const apps = new Applications();
  let bao: OpenBaoServer;
  let mariadb: MariaDbServer;

  beforeAll(async () => {
    [bao, mariadb] = await Promise.all([startOpenBao(), startMariaDb()]);
    await mariadb.query(`${file('setup.sql')}${ADMIN.replace('…', 'password-of-the-admin')}`);
    const { roleId, secretId } = await provisionMariaDb(bao, mariadb, {
      admin: { username: 'vault_admin', password: 'password-of-the-admin' },
      roles: [
        {
          name: 'orders',
          defaultTtl: '2s',
          maxTtl: '4s',
          creationStatements: [file('creation.sql')],
          revocationStatements: [file('revocation.sql')],
        },
      ],
      policy: file('policy.hcl'),
      approle: { token_no_default_policy: true, token_ttl: '20s', token_max_ttl: '60s' },
    });
    apps.guard(bao.rootToken, secretId, 'password-of-the-admin');
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    vi.stubEnv('VAULT_ADDR', bao.address);
    vi.stubEnv('VAULT_ROLE_ID', roleId);
    vi.stubEnv('VAULT_SECRET_ID', secretId);
    vi.stubEnv('MYSQL_HOST', mariadb.host);
    vi.stubEnv('MYSQL_PORT', String(mariadb.port));
    vi.stubEnv('MYSQL_DATABASE', mariadb.database);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await apps.finish();
    vi.restoreAllMocks();
    await Promise.all([bao?.stop(), mariadb?.stop()]);
  });

  it('its load fails nowhere over two rotations, and nothing is left of it', async () => {
    const app = await apps.start({ imports: [AppModule] });
    const load = app.get(Load);
    load.start();
    await expect.poll(() => rotations(app), { timeout: 15_000 }).toBeGreaterThanOrEqual(2);
    await sleep(500);
    expect(await app.get(OrdersRepository).recent()).toHaveLength(10);
    await app.close();
    expect(load.failed).toBe(0);
    expect(load.good).toBeGreaterThan(50);
    await expect.poll(() => usersInMariaDb(mariadb), { timeout: 5_000 }).toEqual([]);
    await expect.poll(() => connectionsInMariaDb(mariadb)).toEqual([]);
  });
});

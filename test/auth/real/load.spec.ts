import { setTimeout as sleep } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import { map } from 'rxjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { toUserCredentials, type UserData } from '../../../lib/leases/user-credentials.js';
import { fromFile, jwt, kubernetes, type AuthMethod } from '../../../lib/index.js';
import { connect } from '../../support/connect.js';
import { figure, Load, until } from '../../support/driver-load.js';
import { anyIssuer, serviceAccountToken } from '../../support/jwts.js';
import { expectNoLeak } from '../../support/leaks.js';
import { ProjectedVolume } from '../../support/projected-token.js';
import { describeReal, realServer } from '../../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
} from '../../support/servers.mjs';
import { TokenReviews } from '../../support/token-review.js';

const PATH = 'database/creds/app';
/** Tokens of the server: renewed once or twice, then replaced by a login. */
const TOKEN = { token_policies: ['app'], token_ttl: '3s', token_max_ttl: '6s' };
/** Seconds for which a JWT is valid, and after which it is replaced. */
const [VALID, REPLACED] = [6, 4];
const REPLACEMENTS = 5;

describeReal(`JWTs that are replaced under load, on ${realServer.name}`, () => {
  let bao: OpenBaoServer;
  let postgres: PostgresServer;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    await provision(bao, postgres, { roles: [{ name: 'app', defaultTtl: '5s', maxTtl: '10s' }] });
  });
  afterAll(() => Promise.all([bao?.stop(), postgres?.stop()]));

  /** Queries on a pool while the input of the logins is replaced five times. */
  async function underLoad(auth: AuthMethod, replace: () => string): Promise<void> {
    const canaries: string[] = [];
    const { connection, bus } = connect({ address: bao.address, auth, startup: { timeout: 5_000 } });
    let logins = 0;
    const expired: unknown[] = [];
    bus.events$.subscribe((event) => {
      if (event.type === 'login') logins++;
      if (event.type === 'expired' || event.type === 'login-failed') expired.push(event);
    });
    await connection.login();
    const { host, port, database } = postgres;
    const credentials$ = connection.leases.watch<UserData>(PATH, false).pipe(map(toUserCredentials));
    const pool = await createRotatingPgPool(credentials$, { host, port, database, max: 5, drain: 2_000 });
    const load = new Load(() => pool.query('select current_user, pg_sleep(0.02)'), 20);
    for (let times = 0; times < REPLACEMENTS; times++) {
      await sleep(REPLACED * 1_000);
      canaries.push(replace());
    }
    await sleep(REPLACED * 1_000);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(expired).toEqual([]);
    expect(load.succeeded).toBeGreaterThan(500);
    // Each login outlives at most two renewals, so every JWT was used.
    expect(logins).toBeGreaterThan(REPLACEMENTS);
    figure(`${auth.name}: ${load.succeeded} queries, ${load.failures.length} failed, ${logins} logins`);
    expectNoLeak(
      [bus.recent, connection.status],
      canaries.flatMap((one) => one.split('.')),
    );
    const { username } = connection.leases.current<UserData>(PATH)!.data.reveal();
    expect(await usersInDatabase(postgres)).toContain(username);
    await pool.end();
    await connection.close();
    // The leased user ends with the token.
    await until(async () => !(await usersInDatabase(postgres)).includes(username));
  }

  it.concurrent('the projected token of a service account', async () => {
    const reviews = await TokenReviews.start();
    const make = () => serviceAccountToken({ ttl: VALID });
    const volume = new ProjectedVolume(make());
    const bound = { bound_service_account_names: 'app', bound_service_account_namespaces: 'default' };
    await bao.api('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
    await bao.api('POST', 'auth/kubernetes/config', {
      kubernetes_host: reviews.address,
      kubernetes_ca_cert: rootCertificates[0],
      disable_local_ca_jwt: true,
    });
    await bao.api('POST', 'auth/kubernetes/role/app', { ...bound, audience: 'vault', ...TOKEN });
    const auth = kubernetes({ role: 'app', jwt: fromFile(volume.path), audience: 'vault' });
    await underLoad(auth, () => {
      const token = make();
      volume.replace(token);
      return token;
    });
    // The review of each renewal was about the token of its login; several tokens were in use.
    expect(new Set(reviews.reviewed).size).toBeGreaterThan(REPLACEMENTS - 2);
    volume.remove();
    await reviews.stop();
  });

  it.concurrent('a JWT from a source that expires', async () => {
    const issuer = anyIssuer();
    let count = 0;
    const make = () => {
      const iat = Math.floor(Date.now() / 1_000);
      return issuer.sign({ sub: 'job', aud: 'vault', iat, exp: iat + VALID, jti: `jwt-${++count}` });
    };
    let current = make();
    await bao.api('POST', 'sys/auth/jwt', { type: 'jwt' });
    await bao.api('POST', 'auth/jwt/config', { jwt_validation_pubkeys: [issuer.pem] });
    const bound = { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['vault'], clock_skew_leeway: -1 };
    await bao.api('POST', 'auth/jwt/role/app', { ...bound, ...TOKEN });
    const used = new Set<string>();
    const auth = jwt({
      role: 'app',
      jwt: () => {
        used.add(current);
        return current;
      },
    });
    await underLoad(auth, () => (current = make()));
    expect(used.size).toBeGreaterThan(REPLACEMENTS - 2);
  });
});

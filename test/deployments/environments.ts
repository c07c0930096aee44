import { createPublicKey } from 'node:crypto';
import { createServer } from 'node:http';
import { existsSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { vi } from 'vitest';
import { parse } from 'yaml';
import { anyIssuer } from '../support/jwts.js';
import { freePort } from '../support/servers.mjs';
import { TokenReviews } from '../support/token-review.js';
import { BIN, Company, readSample, type Env, type Running } from './world.js';

/** An environment in which the application starts. */
export interface Environment {
  readonly env: Env;
  end(): Promise<unknown>;
}

const HOUR = 3_600;
const seconds = () => Math.floor(Date.now() / 1_000);

/** 15-local: `nestjs-vault dev` on the database, with the variables that it writes. */
export async function local(company: Company): Promise<Environment & { dev: Running }> {
  const { host, port, database, connectionString } = company.postgres;
  const file = `${company.folder}/.env`;
  const args = [BIN, 'dev', '--port', String(await freePort()), '--write-env', file];
  const dev = company.run(process.execPath, args, { DATABASE_URL: connectionString });
  await vi.waitFor(
    () => {
      if (!existsSync(file)) throw new Error(dev.output);
    },
    { timeout: 20_000, interval: 50 },
  );
  const lines = readFileSync(file, 'utf8').matchAll(/^(\w+)="?([^"\n]*)"?$/gm);
  const written = Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value]));
  const env = { ...written, PGHOST: host, PGPORT: String(port), PGDATABASE: database };
  return { env, dev, end: () => dev.end() };
}

/** The issuer of ID tokens of a CI system: its keys, and the endpoint of a runner. */
export class CiSystem implements Environment {
  static readonly CLAIMS = { repository: 'shop/orders', ref: 'refs/heads/main' };
  readonly env: Env;
  readonly #server: ReturnType<typeof createServer>;
  readonly #address: string;

  private constructor(company: Company, server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.#address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { NODE_ENV: _, ...env } = company.env;
    this.env = env;
  }

  static async start(company: Company): Promise<CiSystem> {
    const jwk = createPublicKey(anyIssuer().pem).export({ format: 'jwk' });
    const server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://ci');
      const isRunner = pathname === '/token' && request.headers.authorization === 'bearer runner-token';
      const value = () => CiSystem.idToken({ aud: searchParams.get('audience') });
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(isRunner ? { value: value() } : { keys: [jwk] }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const ci = new CiSystem(company, server);
    await company.administrate('16-ci/set-up.sh', {
      ISSUER: 'https://ci.test',
      JWKS: `${ci.#address}/jwks`,
      CLAIMS: JSON.stringify(CiSystem.CLAIMS),
    });
    return ci;
  }

  static idToken(claims: object = {}): string {
    const [iat, exp] = [seconds(), seconds() + HOUR];
    return anyIssuer().sign({
      iss: 'https://ci.test',
      aud: 'vault',
      sub: 'job',
      ...CiSystem.CLAIMS,
      iat,
      nbf: iat,
      exp,
      ...claims,
    });
  }

  /** The variables of a job of GitLab. */
  gitLab(claims: object = {}): Env {
    return { ...this.env, VAULT_ID_TOKEN: CiSystem.idToken(claims) };
  }

  /** The variables of a job of GitHub with `id-token: write`. */
  gitHub(): Env {
    return {
      ...this.env,
      ACTIONS_ID_TOKEN_REQUEST_URL: `${this.#address}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runner-token',
    };
  }

  async end(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** 17-production: machines on which an init step delivers a wrapped secret_id before each start. */
export class Machines {
  readonly #company: Company;
  readonly #roleId: string;

  private constructor(company: Company, roleId: string) {
    this.#company = company;
    this.#roleId = roleId;
  }

  static async start(company: Company): Promise<Machines> {
    const lines = await company.administrate('17-production/set-up.sh');
    const [roleId = '', deliveryToken = ''] = lines.filter((line) => line !== '');
    company.write('delivery-token', deliveryToken);
    return new Machines(company, roleId);
  }

  env(instance: string): Env {
    return {
      ...this.#company.env,
      VAULT_ROLE_ID: this.#roleId,
      WRAPPING_TOKEN_FILE: `${this.#company.folder}/${instance}`,
    };
  }

  /** The init step. */
  async deliver(instance: string): Promise<Env> {
    const { folder } = this.#company;
    const env = { ...this.env(instance), CREDENTIALS_DIRECTORY: folder };
    const { code, output } = await this.#company.script('17-production/deliver.sh', env);
    if (code !== 0 || output !== '') throw new Error(`The delivery failed: ${output}`);
    return this.env(instance);
  }
}

/** A manifest of 18-kubernetes. */
export const manifest = (name: string): any => parse(readSample(`18-kubernetes/${name}.yaml`));
export const container = (): any => manifest('deployment').spec.template.spec.containers[0];

/** 18-kubernetes: the variables of the manifest, with a mounted token, and a cluster that reviews it. */
export class Cluster implements Environment {
  readonly env: Env;
  readonly #company: Company;
  readonly #reviews: TokenReviews;

  private constructor(company: Company, reviews: TokenReviews) {
    this.#company = company;
    this.#reviews = reviews;
    const given = Object.fromEntries(
      container().env.map(({ name, value }: { name: string; value: string }) => [name, value]),
    );
    const here = { SERVICE_ACCOUNT_TOKEN_FILE: this.mountToken(), ...company.env };
    const missing = Object.keys(here).filter((name) => !(name in given));
    if (missing.length > 0) throw new Error(`The manifest lacks ${missing.join(', ')}.`);
    this.env = { ...given, ...here };
  }

  static async start(company: Company): Promise<Cluster> {
    const reviews = await TokenReviews.start();
    await company.administrate('18-kubernetes/set-up.sh', {
      KUBERNETES_HOST: reviews.address,
      KUBERNETES_CA: company.authority.certFile,
    });
    return new Cluster(company, reviews);
  }

  /** What the kubelet does: writes the token of the projected volume. */
  mountToken(account = 'orders'): string {
    const { metadata, spec } = manifest('deployment');
    const [{ serviceAccountToken }] = spec.template.spec.volumes[0].projected.sources;
    const { namespace } = metadata as { namespace: string };
    const [iat, exp] = [seconds(), seconds() + Number(serviceAccountToken.expirationSeconds)];
    const token = anyIssuer().sign({
      iss: 'https://kubernetes.default.svc',
      aud: [serviceAccountToken.audience],
      sub: `system:serviceaccount:${namespace}:${account}`,
      'kubernetes.io': { namespace, serviceaccount: { name: account, uid: 'uid' } },
      iat,
      nbf: iat,
      exp,
    });
    return this.#company.write('service-account-token', token);
  }

  end(): Promise<void> {
    return this.#reviews.stop();
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, vi } from 'vitest';
import type { DevServerFile } from '../../lib/testing/index.js';
import { Authority } from '../support/certificates.js';
import {
  openBaoAvailable,
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
} from '../support/servers.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** A file of a sample, as `18-kubernetes/deployment.yaml`. */
export const sampleFile = (path: string): string => join(ROOT, 'sample', path);
export const readSample = (path: string): string => readFileSync(sampleFile(path), 'utf8');
export const BIN = join(ROOT, 'dist/esm/cli/main.js');
/** The KV value, which no output may show. */
export const API_KEY = 'canary-of-the-api-key';

export type Env = Readonly<Record<string, string>>;

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

/** A process of a deployment, with all that it printed. */
export class Running {
  output = '';
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;

  /** The process has no variable of this one but PATH. */
  constructor(command: string, args: readonly string[], env: Env, cwd: string) {
    const { PATH = '' } = process.env;
    this.child = spawn(command, args, { cwd, env: { PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      const { output } = this;
      expect(output).not.toContain(API_KEY);
      return { code: code as number | null, signal: signal as NodeJS.Signals | null, output };
    });
  }

  /** Waits for a text, and returns what its group has. */
  async prints(pattern: RegExp): Promise<string> {
    return vi.waitFor(
      () => {
        const found = pattern.exec(this.output);
        if (!found) throw new Error(`Not printed: ${pattern}. ${this.output}`);
        return found[1] ?? found[0];
      },
      { timeout: 30_000, interval: 20 },
    );
  }

  end(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** The servers of a company: OpenBao with a certificate of its own authority, and PostgreSQL. */
export class Company {
  readonly folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-deployments-'));
  readonly authority: Authority;
  readonly bao: OpenBaoServer;
  readonly postgres: PostgresServer;
  /** PATH, with `bao`. */
  readonly path: string;
  readonly #running: Running[] = [];

  private constructor(authority: Authority, bao: OpenBaoServer, postgres: PostgresServer, bin: string) {
    this.authority = authority;
    this.bao = bao;
    this.postgres = postgres;
    const bins = join(this.folder, 'bin');
    mkdirSync(bins);
    symlinkSync(bin, join(bins, 'bao'));
    this.path = [bins, process.env['PATH']].join(delimiter);
  }

  /** With the role, the KV secret and the policy of the sample. */
  static async start(): Promise<Company> {
    const available = await openBaoAvailable();
    if (!available.ok) throw new Error(available.reason);
    const authority = new Authority();
    const { certFile, keyFile } = authority.issue('vault', 'IP:127.0.0.1');
    const tls = { certFile, keyFile, caFile: authority.certFile };
    const [bao, postgres] = await Promise.all([startOpenBao({ tls }), startPostgres()]);
    const file = (await import(sampleFile('15-local/vault.dev.mjs'))) as { default: DevServerFile };
    const { prepare = [], roles } = file.default.databases?.['shop'] ?? {};
    for (const statement of prepare) await postgres.query(statement);
    const { creationStatements = [], revocationStatements = [] } = roles?.['orders'] ?? {};
    await provision(bao, postgres, {
      roles: [
        {
          name: 'orders',
          defaultTtl: '6s',
          maxTtl: '60s',
          creationStatements: [...creationStatements],
          revocationStatements: [...revocationStatements],
        },
      ],
      policy: readSample('15-local/policy.hcl'),
      policyName: 'orders',
      approleMount: 'another',
    });
    await bao.api('POST', 'secret/data/payments', { data: { apiKey: API_KEY } });
    return new Company(authority, bao, postgres, available.bin);
  }

  /** The variables that differ between environments. */
  get env(): Env {
    const { host, port, database } = this.postgres;
    const server = { VAULT_ADDR: this.bao.address, VAULT_CACERT: this.authority.certFile };
    return { ...server, PGHOST: host, PGPORT: String(port), PGDATABASE: database, NODE_ENV: 'production' };
  }

  /** Runs a script of an administrator, with the root token. */
  async administrate(script: string, env: Env = {}): Promise<string[]> {
    const { code, output } = await this.script(script, { VAULT_TOKEN: this.bao.rootToken, ...env });
    expect(output).not.toMatch(/error/i);
    expect(code).toBe(0);
    return output.trim().split('\n');
  }

  script(script: string, env: Env): Promise<Ended> {
    return this.run('sh', [sampleFile(script)], { ...this.env, ...env }).ended;
  }

  run(command: string, args: readonly string[], env: Env, cwd: string = sampleFile('15-local')): Running {
    const running = new Running(command, args, { PATH: this.path, HOME: this.folder, ...env }, cwd);
    this.#running.push(running);
    return running;
  }

  /** Starts the application; resolves when it listens. */
  async application(env: Env): Promise<Running & { url: string }> {
    const one = this.run(process.execPath, ['dist/main.js'], { ...env, HOST: '127.0.0.1', PORT: '0' });
    const url = await one.prints(/Listening at (\S+)/);
    return Object.assign(one, { url });
  }

  write(name: string, content: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  users(): Promise<string[]> {
    return usersInDatabase(this.postgres);
  }

  /** Waits until no user is left; within seconds, so not by the end of a TTL of a minute. */
  async noUserIsLeft(): Promise<void> {
    await vi.waitFor(async () => expect(await this.users()).toEqual([]), { timeout: 5_000, interval: 50 });
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map((one) => one.end('SIGKILL')));
    await Promise.all([this.bao.stop(), this.postgres.stop()]);
    this.authority.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { ConnectionStatus, VaultStatus } from 'nestjs-vault';
import { expectNoSecrets } from '../support/applications.js';
import { bundle } from './bundle.js';
import type { ApplicationConfig, Measured, AppReport } from './application/protocol.js';

const START_TIMEOUT = 60_000;
const STOP_TIMEOUT = 20_000;
/** A token of either server; the real tokens never reach this process. */
const TOKEN = /\b(?:hv)?[sbr]\.[A-Za-z0-9_-]{20,}/;

type ReportOf<T extends AppReport['type']> = Extract<AppReport, { type: T }>;

/** The application under load: a process of its own, and all its reports. */
export class Application {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #reports: AppReport[];
  readonly #canaries: Set<string>;
  readonly #log: string[];

  private constructor(
    child: ChildProcess,
    url: string,
    reports: AppReport[],
    canaries: Set<string>,
    log: string[],
  ) {
    this.#child = child;
    this.url = url;
    this.#reports = reports;
    this.#canaries = canaries;
    this.#log = log;
  }

  static async start(config: ApplicationConfig): Promise<Application> {
    const child = spawn(process.execPath, ['--expose-gc', await bundle()], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { PATH: process.env['PATH'], SOAK_APPLICATION: JSON.stringify(config) },
    });
    const reports: AppReport[] = [];
    const canaries = new Set([config.vault.auth.secretId]);
    const log: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => log.push(text));
    }
    const url = await new Promise<string>((resolve, reject) => {
      const fail = (how: string) => reject(new Error(`The application ${how}.\n${log.join('')}`));
      const timer = setTimeout(() => fail('did not start in time'), START_TIMEOUT);
      child.once('exit', (code) => fail(`ended (${code})`));
      child.on('message', (message) => {
        const one = message as AppReport;
        if (one.type === 'canary') canaries.add(one.value);
        else reports.push(one);
        if (one.type === 'ready') resolve(one.url);
      });
      child.once('exit', () => clearTimeout(timer));
      child.once('message', () => clearTimeout(timer));
    }).catch((error: unknown) => {
      child.kill('SIGKILL');
      throw error;
    });
    return new Application(child, url, reports, canaries, log);
  }

  reports<T extends AppReport['type']>(type: T): ReportOf<T>[] {
    return this.#reports.filter((one): one is ReportOf<T> => one.type === type);
  }

  /** When the pool began to use new credentials. */
  get publications(): number[] {
    return this.reports('pool').flatMap(({ event, at }) => (event === 'rotated' ? [at] : []));
  }

  /** The reasons of the status for not being `up`, since a time. */
  reasons(since = 0): string[] {
    const statuses = this.reports('status').filter(({ at }) => at >= since);
    return [...new Set(statuses.flatMap(({ reasons }) => reasons))];
  }

  get healths(): { at: number; health: string }[] {
    return this.reports('status').map(({ at, health }) => ({ at, health }));
  }

  async status(): Promise<ConnectionStatus> {
    const { connections } = (await (await fetch(`${this.url}/status`)).json()) as VaultStatus;
    return connections[0] as ConnectionStatus;
  }

  /** The number of requests that it sent to the server so far, and of failed ones. */
  async requests(): Promise<{ total: number; failed: number }> {
    const counters = Object.values((await this.status()).counters.requests);
    const sum = (key: 'total' | 'failed') => counters.reduce((total, one) => total + one[key], 0);
    return { total: sum('total'), failed: sum('failed') };
  }

  async measure(): Promise<Measured> {
    return (await (await fetch(`${this.url}/measure`, { method: 'POST' })).json()) as Measured;
  }

  suspend(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Ends it as an orchestrator does; rejects if it does not end by itself, or if it printed a secret. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT);
      this.#child.kill('SIGTERM');
      await once(this.#child, 'exit');
      clearTimeout(late);
    }
    this.expectNoSecrets(this.log, JSON.stringify(this.#reports));
    if (this.#child.exitCode !== 0) {
      throw new Error(
        `The application ended with ${this.#child.exitCode ?? this.#child.signalCode}.\n${this.log}`,
      );
    }
  }

  get log(): string {
    return this.#log.join('');
  }

  /** Fails where a text holds a secret of this application, or anything that looks like a token. */
  expectNoSecrets(...texts: string[]): void {
    for (const text of texts) {
      expectNoSecrets(text, this.#canaries);
      if (TOKEN.test(text)) throw new Error('Something that looks like a token was printed.');
    }
  }
}

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('process.mjs', import.meta.url));
const START_TIMEOUT = 240_000;
const STOP_TIMEOUT = 30_000;

export interface ProcessConfig {
  vault: { address: readonly string[]; auth: { roleId: string; secretId: string } };
  role: string;
  secret: string;
  /** Milliseconds between two reads of the secret. */
  every: number;
  pool: {
    host: string;
    port: number;
    database: string;
    max: number;
    drain: number;
    application_name: string;
  };
  /** Milliseconds between two short queries, and of a transaction. */
  work: { pause: number; transaction: number };
}

interface Report {
  queries: number;
  failures: Record<string, number>;
}

/** One process of the fleet. */
export class FleetProcess {
  readonly #child: ChildProcess;
  readonly #log: string[];
  #report: Report | undefined;

  private constructor(child: ChildProcess, log: string[]) {
    this.#child = child;
    this.#log = log;
  }

  /** Resolves when its pool has logged in. */
  static async start(config: ProcessConfig, kind: 'core' | 'nest'): Promise<FleetProcess> {
    const child = fork(FILE, [], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
      env: { PATH: process.env['PATH'], FLEET_PROCESS: JSON.stringify({ kind, ...config }) },
    });
    const log: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => log.push(text));
    const started = new FleetProcess(child, log);
    await new Promise<void>((resolve, reject) => {
      const fail = (how: string) => reject(new Error(`A process of the fleet ${how}.\n${log.join('')}`));
      const timer = setTimeout(() => fail('did not start in time'), START_TIMEOUT);
      child.once('exit', (code) => {
        clearTimeout(timer);
        fail(`ended (${code})`);
      });
      child.on('message', (message: { type: string } & Report) => {
        clearTimeout(timer);
        if (message.type === 'ready') resolve();
        else started.#report = message;
      });
    }).catch((error: unknown) => {
      child.kill('SIGKILL');
      throw error;
    });
    return started;
  }

  /** Warnings and errors that it logged. */
  get log(): string {
    return this.#log.join('');
  }

  /** Ends it as an orchestrator does. */
  async stop(): Promise<Report> {
    const ended = once(this.#child, 'exit');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT);
    this.#child.kill('SIGTERM');
    await ended;
    clearTimeout(late);
    if (!this.#report) throw new Error(`A process of the fleet ended without its report.\n${this.log}`);
    return this.#report;
  }

  /** Ends it whatever it does. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

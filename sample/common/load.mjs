// The common part of the samples, so that each shows only its technique. JavaScript, so that a sample can import it
// without a build: its relative path is the same from `src` and from `dist`.
import { CredentialsService } from 'nestjs-vault';
import { startDashboard } from 'nestjs-vault/dashboard';

const EVERY_MS = 25;
/** One Ctrl-C may arrive as several signals: of the terminal, of npm and of `npm start`. */
const ONE_CTRL_C_MS = 500;

/** Repeats the work of a sample, and prints each new user that does it. */
export class Load {
  good = 0;
  failed = 0;
  /** The users that did the work, in order. */
  users = [];
  #service;
  #workOf;
  #work = [];
  #running = new Set();
  #timer;

  constructor(service, workOf) {
    this.#service = service;
    this.#workOf = workOf;
  }

  start() {
    this.#work = [...this.#workOf(this.#service()), () => this.#look()];
    let count = 0;
    this.#timer = setInterval(() => this.#run(this.#work[count++ % this.#work.length]), EVERY_MS);
  }

  /** Runs first at shutdown: starts no new work, and waits for running work. */
  async onModuleDestroy() {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    await Promise.all(this.#running);
    print(`${this.good} good, ${this.failed} failed in total`);
  }

  async #look() {
    const user = await this.#service().user();
    if (this.users.includes(user)) return;
    this.users.push(user);
    print(`working as ${user}`);
  }

  #run(work) {
    const one = work()
      .then(
        () => this.good++,
        (error) => {
          this.failed++;
          print(`failed: ${error.message}`);
        },
      )
      .finally(() => this.#running.delete(one));
    this.#running.add(one);
  }
}

/** A provider that repeats the work of a service of any module. It is idle until `keepWorking`. */
export function loadOn(ModuleRef, type, work) {
  return {
    provide: Load,
    inject: [ModuleRef],
    useFactory: (moduleRef) => new Load(() => moduleRef.get(type, { strict: false }), work),
  };
}

/**
 * Starts the load and shows it, ends it after RUN_FOR_SECONDS or at a signal, and exits with 0 only if nothing failed.
 */
export function keepWorking(app) {
  const load = app.get(Load);
  process.once('exit', () => {
    if (load.failed > 0) process.exitCode = 1;
  });
  show(app, () => `${load.good} good, ${load.failed} failed`);
  load.start();
  const seconds = Number(process.env.RUN_FOR_SECONDS ?? 0);
  if (seconds > 0) setTimeout(() => void app.close(), seconds * 1000).unref();
}

/** Shows tokens, leases and pools in the terminal, and a line of the sample. A second Ctrl-C ends the process at once. */
export function show(app, note) {
  startDashboard(app.get(CredentialsService), {
    ...(process.env.DASHBOARD && { mode: process.env.DASHBOARD }),
    events: true,
    note,
  });
  // The reader of a pipe has ended, such as `head`.
  let closing;
  process.stdout.on('error', () => (closing ??= app.close()));
  let firstAt = Infinity;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => {
      if (performance.now() - firstAt > ONE_CTRL_C_MS) process.exit(130);
      firstAt = Math.min(firstAt, performance.now());
    });
}

function print(text) {
  process.stdout.write(`${`${process.uptime().toFixed(1)}s`.padStart(7)}  ${text}\n`);
}

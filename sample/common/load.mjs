// The common part of the samples, so that each shows only its technique. JavaScript, so that a sample can import it
// without a build: its relative path is the same from `src` and from `dist`.

const EVERY_MS = 25;
const PRINT_EVERY_MS = 5_000;

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
  #timers = [];

  constructor(service, workOf) {
    this.#service = service;
    this.#workOf = workOf;
  }

  start() {
    this.#work = [...this.#workOf(this.#service()), () => this.#look()];
    let count = 0;
    this.#timers = [
      setInterval(() => this.#run(this.#work[count++ % this.#work.length]), EVERY_MS),
      setInterval(() => print(`${this.good} good, ${this.failed} failed`), PRINT_EVERY_MS),
    ];
  }

  /** Runs first at shutdown: starts no new work, and waits for running work. */
  async onModuleDestroy() {
    if (this.#timers.length === 0) return;
    this.#timers.forEach(clearInterval);
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

/** Starts the load, ends it after RUN_FOR_SECONDS or at a signal, and exits with 0 only if nothing failed. */
export function keepWorking(app) {
  const load = app.get(Load);
  process.once('exit', () => {
    if (load.failed > 0) process.exitCode = 1;
  });
  load.start();
  const seconds = Number(process.env.RUN_FOR_SECONDS ?? 0);
  if (seconds > 0) setTimeout(() => void app.close(), seconds * 1000).unref();
}

function print(text) {
  process.stdout.write(`${process.uptime().toFixed(1).padStart(6)} s  ${text}\n`);
}

import { sendBlocking, type RoutedRequest } from '../client/send-blocking.js';
import { closed } from '../errors/common-errors.js';
import { withTimeout } from '../clock/with-timeout.js';
import { systemClock } from '../clock/clock.js';

/** A request to be sent when the process ends. */
export interface FinalRequest {
  request: RoutedRequest;
  /** Milliseconds. */
  timeout: number;
  /** Called with the status of the answer; 0 where there was none. */
  answered: (status: number) => void;
}

/** What is not to outlive the process. */
export interface Ending {
  /** What the server has to be asked for now, where nothing else ends it. */
  finalRequests(): FinalRequest[];
  /** Resolves when no login is under way, whose token nobody would know. */
  settled(): Promise<void>;
  /** Milliseconds that it may take. */
  readonly exitTimeout: number;
  close(timeout: number): Promise<void>;
}

/** Signals that end a process which does not listen to them, and that are sent on purpose. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Ends what is open when the process ends without having closed it. It listens as long as anything is open; to signals as
 * long as a start is under way, as later the application says whether it listens (`enableShutdownHooks`).
 */
class ProcessEnd {
  readonly #open = new Set<Ending>();
  readonly #starting = new Set<Ending>();

  /** @returns what has to be called when it is closed */
  add(ending: Ending, starting: boolean): () => void {
    this.#open.add(ending);
    if (starting) this.#starting.add(ending);
    this.#listen();
    return () => {
      this.#open.delete(ending);
      this.started(ending);
    };
  }

  started(ending: Ending): void {
    this.#starting.delete(ending);
    this.#listen();
  }

  #listen(): void {
    const listens = process.listeners('exit').includes(this.#onExit);
    if (this.#open.size > 0 && !listens) {
      // Before those of the application, one of which may call `process.exit()`.
      process.prependListener('exit', this.#onExit);
      process.on('beforeExit', this.#onBeforeExit);
    } else if (this.#open.size === 0 && listens) {
      process.off('exit', this.#onExit);
      process.off('beforeExit', this.#onBeforeExit);
    }
    for (const signal of SIGNALS) {
      process.off(signal, this.#onSignal);
      if (this.#starting.size > 0) process.on(signal, this.#onSignal);
    }
  }

  /** Nothing asynchronous runs any more. */
  readonly #onExit = (): void => {
    try {
      const final = [...this.#open].flatMap((ending) => ending.finalRequests());
      if (final.length === 0) return;
      const timeout = Math.max(...final.map((one) => one.timeout));
      const statuses = sendBlocking(
        final.map(({ request }) => request),
        timeout,
      );
      final.forEach(({ answered }, index) => answered(statuses[index] ?? 0));
    } catch {
      // What cannot be ended here ends by its TTL; the process ends as it would have.
    }
  };

  /** Nothing keeps the process alive. */
  readonly #onBeforeExit = (): void => {
    for (const ending of this.#open) void ending.close(ending.exitTimeout);
  };

  readonly #onSignal = async (signal: NodeJS.Signals): Promise<void> => {
    // The application has a listener, which decides what becomes of the process.
    if (process.listenerCount(signal) > 1) return;
    // Another signal ends the process at once.
    this.#starting.clear();
    this.#listen();
    const timeout = Math.max(...[...this.#open].map(({ exitTimeout }) => exitTimeout));
    const settled = Promise.all([...this.#open].map((ending) => ending.settled()));
    await withTimeout(settled, timeout, systemClock, closed, true).catch(() => undefined);
    this.#onExit();
    process.kill(process.pid, signal);
  };
}

/** One for both copies of this package (ESM, CommonJS), so that a process waits once. */
const PROCESS_END = Symbol.for('nestjs-vault.process-end');
const shared = globalThis as { [PROCESS_END]?: ProcessEnd };

/**
 * Has the end of the process end it, unless that is closed before.
 *
 * @param starting whether the start of an application is under way
 * @returns what has to be called when it is closed
 */
export function endWithProcess(ending: Ending, starting: boolean): () => void {
  return (shared[PROCESS_END] ??= new ProcessEnd()).add(ending, starting);
}

/** The start is over: from now on the application decides on signals. */
export function startIsOver(ending: Ending): void {
  shared[PROCESS_END]?.started(ending);
}

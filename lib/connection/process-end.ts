import { sendBlocking, type RoutedRequest } from '../client/send-blocking.js';
import { closed } from '../errors/common-errors.js';
import { withTimeout } from '../clock/with-timeout.js';
import { systemClock } from '../clock/clock.js';

/** A request to send when the process ends. */
export interface FinalRequest {
  request: RoutedRequest;
  /** Milliseconds. */
  timeout: number;
  /** Called with the HTTP status of the answer; 0 if there was none. */
  onAnswer: (status: number) => void;
}

/** A connection that must not outlive the process. */
export interface ClosedAtExit {
  /** The requests to send now, so that tokens and leases end. */
  finalRequests(): FinalRequest[];
  /** Resolves when no login is in progress. The token of such a login would not be known, so not be revoked. */
  settled(): Promise<void>;
  /** Milliseconds allowed for the end. */
  readonly exitTimeout: number;
  close(timeout: number): Promise<void>;
}

/** Signals that end a process without a listener, and that an operator sends on purpose. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Ends the open connections when the process ends without closing them. Listens to `exit` as long as a connection is
 * open, and to signals only during a start: after it the application decides about them (`enableShutdownHooks`).
 */
class ProcessEnd {
  readonly #open = new Set<ClosedAtExit>();
  readonly #starting = new Set<ClosedAtExit>();

  /** @returns a function to call when the connection has closed */
  add(connection: ClosedAtExit, starting: boolean): () => void {
    this.#open.add(connection);
    if (starting) this.#starting.add(connection);
    this.#listen();
    return () => {
      this.#open.delete(connection);
      this.started(connection);
    };
  }

  started(connection: ClosedAtExit): void {
    this.#starting.delete(connection);
    this.#listen();
  }

  #listen(): void {
    const listens = process.listeners('exit').includes(this.#onExit);
    if (this.#open.size > 0 && !listens) {
      // Before the listeners of the application: one of them may call `process.exit()`.
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

  /** Synchronous, because Node runs nothing asynchronous after `exit`. */
  readonly #onExit = (): void => {
    try {
      const final = [...this.#open].flatMap((connection) => connection.finalRequests());
      if (final.length === 0) return;
      const timeout = Math.max(...final.map((one) => one.timeout));
      const statuses = sendBlocking(
        final.map(({ request }) => request),
        timeout,
      );
      final.forEach(({ onAnswer }, index) => onAnswer(statuses[index] ?? 0));
    } catch {
      // Tokens and leases end by their TTL instead; the process must end as it would have.
    }
  };

  /** Nothing keeps the process alive. */
  readonly #onBeforeExit = (): void => {
    for (const connection of this.#open) void connection.close(connection.exitTimeout);
  };

  readonly #onSignal = async (signal: NodeJS.Signals): Promise<void> => {
    // The application has a listener of its own, which decides about the process.
    if (process.listenerCount(signal) > 1) return;
    // Another signal ends the process at once.
    this.#starting.clear();
    this.#listen();
    const timeout = Math.max(...[...this.#open].map(({ exitTimeout }) => exitTimeout));
    const settled = Promise.all([...this.#open].map((connection) => connection.settled()));
    await withTimeout(settled, timeout, systemClock, closed, true).catch(() => undefined);
    this.#onExit();
    process.kill(process.pid, signal);
  };
}

/** Shared by both copies of this package (ESM, CommonJS), so that a process waits once. */
const PROCESS_END = Symbol.for('nestjs-vault.process-end');
const shared = globalThis as { [PROCESS_END]?: ProcessEnd };

/**
 * Ends the connection when the process ends, unless it was closed before.
 *
 * @param starting whether an application is starting
 * @returns a function to call when the connection has closed
 */
export function endWithProcess(connection: ClosedAtExit, starting: boolean): () => void {
  return (shared[PROCESS_END] ??= new ProcessEnd()).add(connection, starting);
}

/** Ends the handling of signals: after its start, the application decides about them. */
export function endSignalHandling(connection: ClosedAtExit): void {
  shared[PROCESS_END]?.started(connection);
}

import { constants } from 'node:os';
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

/** Milliseconds after which a process that its own signal has not ended exits. */
const AFTER_SIGNAL = 100;

/** Signals that end a process without a listener, and that an operator sends on purpose. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * The package signal-exit (in ora, execa, proper-lockfile) ends the process in its listeners only if there are no
 * others. Its versions 4 and 3 count their listeners here.
 */
const SIGNAL_EXIT_4 = Symbol.for('signal-exit emitter');
const SIGNAL_EXIT_3 = '__signal_exit_emitter__';

/**
 * Ends the open connections when the process ends without closing them. Listens to `exit` as long as a connection is
 * open. Listens to signals during a start, and as long as a connection is open that nothing else ends (`endAtExit`);
 * otherwise the application decides about them (`enableShutdownHooks`).
 */
class ProcessEnd {
  readonly #open = new Set<ClosedAtExit>();
  readonly #signalled = new Set<ClosedAtExit>();

  /** @returns a function to call when the connection has closed */
  add(connection: ClosedAtExit, atSignals: boolean): () => void {
    this.#open.add(connection);
    if (atSignals) this.#signalled.add(connection);
    this.#listen();
    return () => {
      this.#open.delete(connection);
      this.ignoreSignals(connection);
    };
  }

  ignoreSignals(connection: ClosedAtExit): void {
    this.#signalled.delete(connection);
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
      if (this.#signalled.size > 0) process.on(signal, this.#onSignal);
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

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    // Without other listeners: one of the application decides about the process.
    if (process.listenerCount(signal) <= 1 + deferring()) void this.endBy(signal);
  };

  async endBy(signal: NodeJS.Signals): Promise<void> {
    // Another signal ends the process at once.
    this.#signalled.clear();
    this.#listen();
    const timeout = Math.max(...[...this.#open].map(({ exitTimeout }) => exitTimeout));
    const settled = Promise.all([...this.#open].map((connection) => connection.settled()));
    await withTimeout(settled, timeout, systemClock, closed, true).catch(() => undefined);
    this.#onExit();
    process.kill(process.pid, signal);
    // The kernel spares the first process of a container.
    systemClock.setTimer(AFTER_SIGNAL, () => process.exit(128 + constants.signals[signal]), true);
  }
}

/** The number of listeners of each signal that leave the decision about the process to others. */
function deferring(): number {
  type Counter = { count?: number } | undefined;
  const counters = [Reflect.get(globalThis, SIGNAL_EXIT_4), Reflect.get(process, SIGNAL_EXIT_3)] as Counter[];
  return counters.reduce((sum, counter) => sum + (counter?.count ?? 0), 0);
}

/** Shared by both copies of this package (ESM, CommonJS), so that a process waits once. */
const PROCESS_END = Symbol.for('nestjs-vault.process-end');
const shared = globalThis as { [PROCESS_END]?: ProcessEnd };
const processEnd = (): ProcessEnd => (shared[PROCESS_END] ??= new ProcessEnd());

/**
 * Ends the connection when the process ends, unless it was closed before.
 *
 * @param atSignals also when a signal ends the process
 * @returns a function to call when the connection has closed
 */
export function endWithProcess(connection: ClosedAtExit, atSignals: boolean): () => void {
  return processEnd().add(connection, atSignals);
}

/** Ends the open connections and then this process by the signal, for a listener that does nothing else. */
export function endBySignal(signal: NodeJS.Signals): Promise<void> {
  return processEnd().endBy(signal);
}

/** Ends the handling of signals: after its start, the application decides about them. */
export function endSignalHandling(connection: ClosedAtExit): void {
  shared[PROCESS_END]?.ignoreSignals(connection);
}

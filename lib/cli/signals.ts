import { constants } from 'node:os';
import { systemClock } from '../clock/clock.js';

/** Signals that ask a process to end. */
export const ENDING: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'];

/** Milliseconds within which several signals are one: a supervisor, or npm, may signal the group and each process. */
const AS_ONE = 1_000;

/** Exit code of a program that a signal has ended, as of a shell. */
export const exitCodeOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];

/** Whether a signal of now is another one than that of the given monotonic time. */
export const isAnother = (since: number): boolean => systemClock.monotonic() - since > AS_ONE;

/** The signals of this process, which go to one receiver at a time. */
export class Signals {
  /** Gets each signal. */
  receive: (signal: NodeJS.Signals) => void = () => {};
  readonly #names: readonly NodeJS.Signals[];
  readonly #listener = (signal: NodeJS.Signals): void => this.receive(signal);

  constructor(names: readonly NodeJS.Signals[]) {
    this.#names = names;
    for (const name of names) process.on(name, this.#listener);
  }

  /** Resolves with the next signal that asks for the end; later ones have no effect. */
  end(): Promise<NodeJS.Signals> {
    return new Promise((resolve) => {
      this.receive = (signal) => ENDING.includes(signal) && resolve(signal);
    });
  }

  /** From now on a signal has the effect that the system gives it. */
  release(): void {
    for (const name of this.#names) process.off(name, this.#listener);
  }
}

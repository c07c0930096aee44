import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { debuglog } from 'node:util';
import { systemClock } from '../../clock/clock.js';
import { invalid } from '../invalid.js';

/** Exit codes as of a shell. */
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;

/** Signals that ask a command to end. */
const ENDING: ReadonlySet<NodeJS.Signals> = new Set(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']);
/** Signals for the command that say nothing about its end. */
const OTHERS: readonly NodeJS.Signals[] = ['SIGUSR1', 'SIGUSR2'];
/** Keys of a terminal, which sends them to all processes in its foreground: the command has got them already. */
const OF_KEYS: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT']);

/** Milliseconds within which several signals are one: a supervisor may signal the group and each process. */
const AS_ONE = 1_000;

/** A command. */
export interface CommandRun {
  readonly command: string;
  readonly args: readonly string[];
  readonly folder: string;
  /** Its whole environment. */
  readonly env: NodeJS.ProcessEnv;
  say(line: string): void;
}

/**
 * Node prints the environment of a program that it starts if NODE_DEBUG asks for that.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID`
 */
export function refuseNodeDebug(): void {
  if (!debuglog('child_process').enabled) return;
  throw invalid(
    'NODE_DEBUG includes child_process: Node would print the secrets for the program.',
    'Unset NODE_DEBUG, or set it for the program alone: nestjs-vault exec … -- env NODE_DEBUG=… program.',
  );
}

/**
 * Runs a command with the terminal, input and output of this process.
 *
 * @param signals are passed on to it
 * @returns its exit code; 128 and the number of the signal that ended it, 126 or 127 if it did not start
 */
export function runCommand(run: CommandRun, signals: Signals): Promise<number> {
  return new Promise<number>((resolve) => {
    const failed = (error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      const missing = code === 'ENOENT';
      run.say(`${run.command}: ${missing ? 'command not found' : `cannot be executed (${code})`}`);
      resolve(missing ? NOT_FOUND : NOT_EXECUTABLE);
    };
    try {
      const child = spawn(run.command, run.args, { stdio: 'inherit', cwd: run.folder, env: run.env });
      signals.child = child;
      child.once('exit', (code, signal) =>
        resolve(code ?? 128 + constants.signals[signal as NodeJS.Signals]),
      );
      child.once('error', (error) => {
        // A signal that could not be sent is an error, too.
        if (child.pid === undefined) failed(error);
      });
    } catch (error) {
      // Some are thrown at once: ENOTDIR, E2BIG (too much in the environment), an empty name.
      failed(error);
    }
  }).finally(() => signals.done());
}

/** The signals of this process: before the command starts they end the work, then they are passed on to it. */
export class Signals {
  child: ChildProcess | undefined;
  /** Resolves with an exit code if a signal asks for the end before the command has started. */
  readonly cancelled: Promise<number>;
  readonly #grace: number;
  readonly #say: (line: string) => void;
  readonly #fromTerminal = hasTerminal();
  /** Whether {@link cancelled} has resolved. */
  isCancelled = false;
  #cancelled!: (code: number) => void;
  #asked: number | undefined;
  #cancel: (() => void) | undefined;

  /** @param grace milliseconds from the first signal that asks the command to end until it is killed */
  constructor(grace: number, say: (line: string) => void) {
    this.#grace = grace;
    this.#say = say;
    this.cancelled = new Promise((resolve) => (this.#cancelled = resolve));
    for (const signal of [...ENDING, ...OTHERS]) process.on(signal, this.#on);
    process.once('exit', this.#kill);
  }

  /** The command has ended. Signals still do nothing: the lease is being ended, within a few seconds. */
  done(): void {
    this.child = undefined;
    this.#cancel?.();
    process.off('exit', this.#kill);
  }

  /** This process ends by a fault of its own: no command may run without a lease. */
  readonly #kill = (): void => void this.child?.kill('SIGKILL');

  readonly #on = (signal: NodeJS.Signals): void => {
    if (!this.child) {
      if (!ENDING.has(signal)) return;
      this.isCancelled = true;
      return this.#cancelled(128 + constants.signals[signal]);
    }
    if (!ENDING.has(signal)) return void this.child.kill(signal);
    const now = systemClock.monotonic();
    // At a terminal the command decides what Ctrl+C means: psql ends a statement, not itself.
    if (this.#fromTerminal && OF_KEYS.has(signal)) return;
    if (this.#asked === undefined) {
      this.#asked = now;
      this.child.kill(signal);
      const grace = this.#grace;
      this.#cancel = systemClock.setTimer(
        grace,
        () => this.#end(`within ${grace / 1_000} s of ${signal}`),
        true,
      );
    } else if (now - this.#asked > AS_ONE) this.#end(`before a second signal (${signal})`);
  };

  #end(when: string): void {
    if (this.child?.kill('SIGKILL')) this.#say(`the command did not end ${when}, so it was killed.`);
  }
}

/**
 * Signals until the login is done: the connection ends itself at SIGTERM, SIGINT and SIGHUP. Listeners of a module of the
 * application do not decide about this process. SIGUSR1 would open Node's inspector.
 *
 * @returns a function that ends this
 */
export function signalsOfLogin(): () => void {
  for (const signal of ENDING) process.removeAllListeners(signal);
  const ignored = () => {};
  const asTermination = () => process.kill(process.pid, 'SIGTERM');
  for (const signal of OTHERS) process.on(signal, ignored);
  process.on('SIGQUIT', asTermination);
  return () => {
    for (const signal of OTHERS) process.off(signal, ignored);
    process.off('SIGQUIT', asTermination);
  };
}

/** Whether a terminal controls this process. On Windows, Ctrl+C reaches all processes of a console. */
function hasTerminal(): boolean {
  if (process.platform === 'win32') return true;
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

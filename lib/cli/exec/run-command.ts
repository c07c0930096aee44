import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { debuglog } from 'node:util';
import { systemClock } from '../../clock/clock.js';
import { invalid } from '../invalid.js';
import { ENDING, exitCodeOf, isAnother, type Signals } from '../signals.js';

/** Exit codes as of a shell. */
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;

/** Keys of a terminal, which sends them to all processes in its foreground: the command has got them already. */
const OF_KEYS: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT']);

/** A command. */
export interface CommandRun {
  readonly command: string;
  readonly args: readonly string[];
  readonly folder: string;
  /** Its whole environment. */
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds from the first signal that asks the command to end until it is killed. */
  readonly grace: number;
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
 * @param signals are passed on to it; they have no effect when it has ended
 * @returns its exit code; 128 and the number of the signal that ended it, 126 or 127 if it did not start
 */
export function runCommand(run: CommandRun, signals: Signals): Promise<number> {
  let passed: PassedSignals | undefined;
  return new Promise<number>((resolve) => {
    const failed = (error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      const missing = code === 'ENOENT';
      run.say(`${run.command}: ${missing ? 'command not found' : `cannot be executed (${code})`}`);
      resolve(missing ? NOT_FOUND : NOT_EXECUTABLE);
    };
    try {
      const child = spawn(run.command, run.args, { stdio: 'inherit', cwd: run.folder, env: run.env });
      passed = new PassedSignals(child, run);
      signals.receive = passed.receive;
      child.once('exit', (code, signal) => resolve(code ?? exitCodeOf(signal as NodeJS.Signals)));
      child.once('error', (error) => {
        // A signal that could not be sent is an error, too.
        if (child.pid === undefined) failed(error);
      });
    } catch (error) {
      // Some are thrown at once: ENOTDIR, E2BIG (too much in the environment), an empty name.
      failed(error);
    }
  }).finally(() => {
    passed?.done();
    // The lease is being ended, within a few seconds.
    signals.receive = () => {};
  });
}

/** Passes the signals of this process on to a command. */
class PassedSignals {
  readonly #child: ChildProcess;
  readonly #run: CommandRun;
  readonly #fromTerminal = hasTerminal();
  #asked: number | undefined;
  #cancel: (() => void) | undefined;

  constructor(child: ChildProcess, run: CommandRun) {
    this.#child = child;
    this.#run = run;
    process.once('exit', this.#kill);
  }

  /** The command has ended. */
  done(): void {
    this.#cancel?.();
    process.off('exit', this.#kill);
  }

  readonly receive = (signal: NodeJS.Signals): void => {
    if (!ENDING.includes(signal)) return void this.#child.kill(signal);
    // At a terminal the command decides what Ctrl+C means: psql ends a statement, not itself.
    if (this.#fromTerminal && OF_KEYS.has(signal)) return;
    if (this.#asked === undefined) {
      this.#asked = systemClock.monotonic();
      this.#child.kill(signal);
      const { grace } = this.#run;
      const when = `within ${grace / 1_000} s of ${signal}`;
      this.#cancel = systemClock.setTimer(grace, () => this.#end(when), true);
    } else if (isAnother(this.#asked)) this.#end(`before a second signal (${signal})`);
  };

  /** This process ends by a fault of its own: no command may run without a lease. */
  readonly #kill = (): void => void this.#child.kill('SIGKILL');

  #end(when: string): void {
    if (this.#child.kill('SIGKILL')) this.#run.say(`the command did not end ${when}, so it was killed.`);
  }
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

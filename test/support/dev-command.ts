import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { builtBin } from './built-bin.js';
import { KEYS, onTerminal } from './terminal.mjs';

/** An application's folder in which `nestjs-vault dev` runs, with a home folder of its own. */
export class DevFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'nestjs-vault-dev-'));
  readonly #running = new Set<DevCommand>();

  constructor() {
    const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));
    symlinkSync(modules, join(this.path, 'node_modules'), 'junction');
  }

  write(name: string, content: string): void {
    writeFileSync(join(this.path, name), content);
  }

  /** Starts the command; its environment has nothing of this process but the path. */
  run(args: readonly string[], env: Readonly<Record<string, string>> = {}): DevCommand {
    return this.#added(new DevCommand([process.execPath, builtBin(), 'dev', ...args], this.path, env));
  }

  /** Starts the command on a terminal of its own. */
  runOnTerminal(...args: readonly string[]): DevCommand {
    const line = [...(onTerminal ?? []), process.execPath, builtBin(), 'dev', ...args];
    return this.#added(new DevCommand(line, this.path, {}));
  }

  #added(command: DevCommand): DevCommand {
    this.#running.add(command);
    return command;
  }

  async remove(): Promise<void> {
    for (const command of this.#running) await command.stop('SIGKILL');
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A running `nestjs-vault dev`. */
export class DevCommand {
  /** All that it printed. */
  output = '';
  readonly #child;
  readonly #exit: Promise<number | null>;

  constructor(
    [program = '', ...args]: readonly string[],
    folder: string,
    env: Readonly<Record<string, string>>,
  ) {
    const { PATH = '' } = process.env;
    this.#child = spawn(program, args, {
      cwd: folder,
      env: { PATH, HOME: folder, USERPROFILE: folder, ...env },
      stdio: 'pipe',
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.#exit = once(this.#child, 'close').then(([code]) => code as number | null);
  }

  get exit(): Promise<number | null> {
    return this.#exit;
  }

  /** Waits for a text in its output. */
  async prints(text: string | RegExp): Promise<void> {
    const ended = this.#exit.then(() => 'ended');
    await expect
      .poll(
        async () => {
          if (this.output.search(text) >= 0) return true;
          return (await Promise.race([ended, Promise.resolve('')])) || false;
        },
        { timeout: 30_000, message: this.output },
      )
      .toBe(true);
  }

  /** The variables that it printed. */
  get variables(): Record<string, string> {
    return Object.fromEntries(
      [...this.output.matchAll(/^export (\w+)=(\S+)$/gm)].map(([, name = '', value = '']) => [name, value]),
    );
  }

  /** Presses a key of its terminal. */
  press(key: keyof typeof KEYS): void {
    this.#child.stdin.write(KEYS[key]);
  }

  /** Sends a signal, and resolves with the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.#child.kill(signal);
    return this.#exit;
  }
}

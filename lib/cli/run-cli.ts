import { Command, CommanderError } from 'commander';
import { VERSION } from '../client/user-agent.js';
import { classOf } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import type { Cli, CliCommand } from './command.js';

/** Exit codes of all commands, unless a command names its own. */
export const EXIT = { done: 0, failure: 1, usage: 2 } as const;

/**
 * Runs one command line.
 *
 * @param args without the program and the script
 * @returns the exit code; failures are printed
 */
export async function runCli(
  args: readonly string[],
  commands: readonly CliCommand[],
  surroundings: Omit<Cli, 'exit'>,
): Promise<number> {
  const { print, say } = surroundings;
  let code: number = EXIT.done;
  const program = new Command('nestjs-vault')
    .description('Short-lived credentials from HashiCorp Vault and OpenBao, from the command line.')
    .version(VERSION, '-V, --version', 'print the version of the package')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .enablePositionalOptions()
    .configureHelp({ helpWidth: 100, showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => print(text.trimEnd()),
      writeErr: (text) => say(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error: /, 'nestjs-vault: ')),
    })
    .exitOverride();
  for (const command of commands) {
    const one = program.command(command.name).showHelpAfterError(`See nestjs-vault ${command.name} --help.`);
    command.define(one, { ...surroundings, exit: (given) => (code = given) });
  }
  const ownFailure = commands.find(({ name }) => name === args[0])?.ownFailure;
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    // Commander has printed its own errors, and the help that was asked for.
    if (error instanceof CommanderError)
      return error.exitCode === EXIT.done ? EXIT.done : (ownFailure ?? EXIT.usage);
    for (const line of linesOf(error)) say(`nestjs-vault: ${line}`);
    return ownFailure ?? EXIT.failure;
  }
}

/** A VaultError is message, code and hint. Of any other error the text may contain secrets, but not its calls. */
function linesOf(error: unknown): string[] {
  if (error instanceof VaultError) return [error.message];
  const calls =
    error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^ +at /.test(line)) : [];
  return [`${classOf(error)}: a fault of nestjs-vault itself; please report it with these lines.`, ...calls];
}

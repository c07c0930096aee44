import type { Command } from 'commander';

/** The surroundings of a command. */
export interface Cli {
  readonly env: NodeJS.ProcessEnv;
  /** The application's folder. Paths and packages are resolved from it. */
  readonly folder: string;
  /** Prints one line of results, to standard output. */
  print(this: void, line: string): void;
  /** Prints one line about the command, to standard error. */
  say(this: void, line: string): void;
  /** Sets the exit code of a command that has done its work; 0 without. */
  exit(code: number): void;
}

/** One command of the bin `nestjs-vault`; one file each. */
export interface CliCommand {
  readonly name: string;
  /**
   * Exit code of failures and of wrong usage, for a command that otherwise ends with the code of another program.
   * @default 1 and 2
   */
  readonly ownFailure?: number;
  /** Adds description, arguments, options and the action to the command of that name. */
  define(command: Command, cli: Cli): void;
}

/** Examples below the options of `--help`: a command line, and what it is for. */
export function examples(command: Command, lines: Readonly<Record<string, string>>): void {
  const text = Object.entries(lines).map(([line, purpose]) => `  # ${purpose}\n  ${line}`);
  command.addHelpText('after', `\nExamples:\n${text.join('\n')}`);
}

import type { Command } from 'commander';
import { findVariable } from '../config/find-variable.js';
import type { VaultOptions } from '../config/options.js';
import { readOptions } from '../config/options-from-env.js';
import { classOf } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import { invalid } from './invalid.js';
import type { Cli } from './command.js';
import { loadModule } from './load-module.js';
import { LOGIN_CHOICES, loginFromEnv } from './login-from-env.js';

/** The connection of a command, and a sentence that names where it comes from, without a value. */
export interface ChosenConnection {
  readonly options: VaultOptions;
  readonly chosen: string;
}

/** The option that {@link connectionOf} takes. */
export interface ConnectionFlags {
  /** A module of the application. */
  options?: string;
}

/** Adds the options about the connection, which all commands share. */
export function withConnection(command: Command): Command {
  return command
    .optionsGroup('Connection:')
    .option(
      '--options <module>',
      'file or package whose export `vaultOptions`, or default export, is the options: a value, a promise or a ' +
        'function. Without it, the environment decides: VAULT_ADDR and the other variables of the Go clients, and ' +
        `for the login the first that is set of ${LOGIN_CHOICES}. Each also with BAO_ in place of VAULT_.`,
    );
}

/**
 * The connection of a command: from a module of the application, or from the environment.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID`, which lists what was looked for
 */
export async function connectionOf(flags: ConnectionFlags, cli: Cli): Promise<ChosenConnection> {
  if (flags.options !== undefined) return fromModule(flags.options, cli.folder);
  const server = readOptions(cli.env, 'Or name a module with the options of the application by `--options`.');
  const { auth, names } = loginFromEnv(cli.env);
  const address = findVariable(cli.env, 'AGENT_ADDR') ?? findVariable(cli.env, 'ADDR');
  return {
    options: { ...server, auth },
    chosen: `the server of ${address?.name}, the login of ${names.join(' and ')}`,
  };
}

async function fromModule(specifier: string, folder: string): Promise<ChosenConnection> {
  const loaded = await loadModule(specifier, folder);
  const found = ['vaultOptions', 'default'].find((name) => loaded[name] !== undefined);
  // The default export of a CommonJS module is the whole of `module.exports`, which may have the named one.
  const exported = found === 'default' ? unwrapped(loaded['default']) : found && loaded[found];
  if (exported === undefined || exported === null)
    throw invalid(
      `The module "${specifier}" exports no options.`,
      'Export them by default or as `vaultOptions`: an object with `address` and `auth`, a promise or a function.',
    );
  const options = await valueOf(exported, specifier);
  return { options, chosen: `the options of ${specifier}` };
}

/** The error of a function of the application may contain secrets, so the message has its class alone. */
async function valueOf(exported: unknown, specifier: string): Promise<VaultOptions> {
  try {
    return (await (typeof exported === 'function'
      ? (exported as () => unknown)()
      : exported)) as VaultOptions;
  } catch (error) {
    if (error instanceof VaultError) throw error;
    throw invalid(
      `The options of the module "${specifier}" failed with ${classOf(error)}.`,
      `The error is not shown, as it may contain a secret. Call its function in a script to see it.`,
    );
  }
}

function unwrapped(exported: unknown): unknown {
  const { vaultOptions, default: inner } = (exported ?? {}) as Record<string, unknown>;
  return vaultOptions ?? inner ?? exported;
}

import { OPTIONS_TIMEOUT } from '../connection/options-timeout.js';
import { listed } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';

export function withoutServer(name: string): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The value "${name}" of the configuration has no default, and \`vault\` is undefined.`,
    hint: 'Give the value a `default`, or vaultConfig the options of a server.',
  });
}

export function notLasting(names: readonly string[]): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `No VaultModule of the application has the options of the configuration, which watches ${listed(names, '`')}.`,
    hint:
      'Give VaultModule.forRoot the same object as `vault` of vaultConfig, not a copy of it. Its connection then lives ' +
      'as long as the application.',
  });
}

const SECONDS = OPTIONS_TIMEOUT / 1_000;

/** The options of a module, which may be those of the watched values, have not arrived. */
export function optionsTooLate(names: readonly string[]): VaultError {
  return new VaultError({
    code: 'VAULT_STARTUP_FAILED',
    message: `The configuration watches ${listed(names, '`')}, but the options of VaultModule have not arrived in ${SECONDS} s.`,
    hint: 'Correct `useFactory` of VaultModule.forRootAsync: it must return the options in that time after the configuration.',
  });
}

/** The function `vault`, or what it waits for, has not returned. */
export function optionsNotResolved(): VaultError {
  return new VaultError({
    code: 'VAULT_STARTUP_FAILED',
    message: `The configuration waits for the options of its connection, but \`vault\` of vaultConfig has not returned them in ${SECONDS} s.`,
    hint:
      'Correct the function `vault`, or the provider that a test overrides the options with. Look for a cycle: neither may ' +
      'wait for ConfigService or a service of this package.',
  });
}

/** A test overrides the options of a module with a factory or a class: the configuration is read before it has run. */
export function optionsOverridden(): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message:
      'The options of VaultModule are overridden with a factory or a class, which vaultConfig cannot use.',
    hint: 'Override VAULT_MODULE_OPTIONS with `useValue`.',
  });
}

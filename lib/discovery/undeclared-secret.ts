import { DEFAULT_CONNECTION } from '../config/resolved-options.js';
import { VaultError } from '../errors/vault-error.js';
import { Secret } from '../secret/secret.js';
import type { SecretDefinition } from '../vault.tokens.js';

/**
 * Placeholder of a secret that the application neither injects nor declares, so that it was not read at the start.
 * Nest's static look-ups (`app.get`) return it.
 */
export class UndeclaredSecret extends Secret {
  readonly #definition: SecretDefinition;

  constructor(definition: SecretDefinition) {
    super('');
    this.#definition = definition;
  }

  /** @throws VaultError `VAULT_STARTUP_FAILED` */
  override reveal(): never {
    const { path } = this.#definition;
    throw new VaultError({
      code: 'VAULT_STARTUP_FAILED',
      message: `The secret "${path}" was not read at the start, because no class or factory injects it.`,
      hint:
        `Declare it in the module that looks it up: VaultModule.forFeature({ secrets: [${argumentsOf(this.#definition)}] }). ` +
        "With `startup.login: 'deferred'` nothing is read at the start: inject it, or read it with the service of its engine.",
      path,
    });
  }
}

/** The source text of the arguments of `forFeature`. */
function argumentsOf({ path, mount, key, version, connection, schema }: SecretDefinition): string {
  const options = Object.entries({
    mount,
    key,
    version,
    connection: connection === DEFAULT_CONNECTION ? undefined : connection,
  })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${typeof value === 'number' ? value : `'${value}'`}`);
  if (schema) options.push('schema');
  return options.length > 0 ? `['${path}', { ${options.join(', ')} }]` : `'${path}'`;
}

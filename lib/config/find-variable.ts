import type { Variable } from './environment.js';

/** A variable that is set, with its prefix. */
export interface FoundVariable {
  readonly name: string;
  readonly value: string;
}

/** The names of a variable, OpenBao's own first. */
export const prefixed = (variable: string): string[] => [`BAO_${variable}`, `VAULT_${variable}`];

/** Those that can contain a secret: a header, a private key, the password of a proxy, the code of a second factor, a token. */
export const SECRET_VARIABLES: readonly string[] = (
  ['HEADERS', 'CLIENT_KEY_BYTES', 'PROXY_ADDR', 'HTTP_PROXY', 'MFA', 'TOKEN'] satisfies Variable[]
).flatMap(prefixed);

/** Finds a variable by its name without prefix: `BAO_…`, and if that is unset `VAULT_…`. An empty one counts as unset. */
export function findVariable(
  env: Readonly<Record<string, string | undefined>>,
  variable: string,
): FoundVariable | undefined {
  const name = prefixed(variable).find((one) => env[one] !== undefined);
  const value = name !== undefined && env[name];
  return name !== undefined && value ? { name, value } : undefined;
}

import type { StandardSchemaV1 } from '@standard-schema/spec';
import { classOf } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import { isSecret } from '../secret/secret.js';
import { validateClass } from './class-schema.js';
import { describeIssue, type Issue } from './describe-issue.js';
import { isStandardSchema, type SchemaOutput, type SecretSchema } from './schema.js';

/** The largest number of issues in one error. */
const ISSUES = 10;

/**
 * Runs a schema on a copy of data that came from a server, so that a schema that changes its input harms no other
 * consumer.
 *
 * @param data JSON data, or a default. The schema gets the value of a `Secret` in it
 * @param subject the checked data in an error, as `secret "app/payments"`
 * @param path its path at the server
 * @returns the output of the schema
 * @throws VaultError `VAULT_SECRET_INVALID` with the keys and what is wrong with them, never with a part of a value;
 * `VAULT_EXTENSION_INVALID` if the schema itself throws, or answers something else; `VAULT_CONFIG_INVALID` if the
 * packages for a class are not installed, or the data cannot be copied
 */
export async function applySchema<S extends SecretSchema>(
  schema: S,
  data: unknown,
  subject: string,
  path?: string,
): Promise<SchemaOutput<S>> {
  const where = path === undefined ? {} : { path };
  const outcome = await run(schema, copyOf(data, subject), data).catch((error: unknown) => {
    if (error instanceof VaultError) throw error;
    // The text of the error may quote the value.
    return { fault: `threw ${classOf(error)}` };
  });
  if ('value' in outcome) return outcome.value as SchemaOutput<S>;
  if ('fault' in outcome) {
    throw new VaultError({
      code: 'VAULT_EXTENSION_INVALID',
      message: `The schema of the ${subject} ${outcome.fault}.`,
      hint: 'Correct the schema: it reports invalid data as issues, and throws nothing.',
      ...where,
    });
  }
  throw new VaultError({
    code: 'VAULT_SECRET_INVALID',
    message: `The ${subject} does not match its schema: ${outcome.problem}.`,
    hint: 'Correct the data at the server (as a new version of the secret), or the schema.',
    ...where,
  });
}

/** A default may contain what no server sends. The error of `structuredClone` quotes it. */
function copyOf(data: unknown, subject: string): unknown {
  try {
    return structuredClone(revealed(data));
  } catch {
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `A value of the ${subject} cannot be copied for its schema.`,
      hint: 'Give a `default` without functions, promises and symbols.',
    });
  }
}

function revealed(value: unknown): unknown {
  if (isSecret(value)) return revealed(value.reveal());
  if (Array.isArray(value)) return value.map(revealed);
  const isPlain =
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  if (!isPlain) return value;
  return Object.fromEntries(
    Object.entries(value as object).map(([name, member]) => [name, revealed(member)]),
  );
}

type Outcome = { value: unknown } | { problem: string } | { fault: string };

async function run(schema: SecretSchema, copy: unknown, data: unknown): Promise<Outcome> {
  const result: StandardSchemaV1.Result<unknown> = await (isStandardSchema(schema)
    ? schema['~standard'].validate(copy)
    : validateClass(schema, copy));
  // arktype's result is an array of its own class, which `map` and `slice` cannot copy.
  if (typeof result !== 'object' || result === null) return { fault: 'returned no result' };
  const { issues } = result;
  if (!issues) return { value: (result as StandardSchemaV1.SuccessResult<unknown>).value };
  return Array.isArray(issues)
    ? { problem: described([...issues], data) }
    : { fault: 'returned issues that are no array' };
}

function described(issues: readonly Issue[], data: unknown): string {
  const shown = issues.slice(0, ISSUES).map((issue) => describeIssue(issue, data).replace(/\.$/, ''));
  return shown.join('; ') + (issues.length > ISSUES ? `; and ${issues.length - ISSUES} more` : '');
}

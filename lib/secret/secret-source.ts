import { readFile, stat, unlink } from 'node:fs/promises';
import { classOf } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import { isSecret, Secret } from './secret.js';

/** What a source may need besides itself: a way to ask the server, for wrapped secrets. */
export interface SecretSourceContext {
  /** Sends one request with the given token, without any retry. */
  send(request: { method: 'POST'; path: string; body?: unknown }, token?: Secret): Promise<{ data: unknown }>;
  /** Something to tell the operator that is no failure. */
  warn(message: string): void;
  /** Where the secret should have been made, for the check of a wrapping token. */
  expectedPath: RegExp;
}

/** A place that a secret is read from; made by {@link fromEnv}, {@link fromFile}, {@link fromWrappedToken}. */
export interface SecretReader {
  /** Named in errors; never holds the secret. */
  readonly description: string;
  read(context: SecretSourceContext): Promise<Secret>;
  /** Differs when there is another value to read; '' while there is none. For what is watched: a token file. */
  version?(): Promise<string>;
}

/**
 * Where a secret comes from at run time: a value, a {@link Secret}, a function that returns either (or a promise
 * of it), or one of {@link fromEnv}, {@link fromFile}, {@link fromWrappedToken}. It is read again at each login.
 *
 * @publicApi
 */
export type SecretSource =
  string | Secret | SecretReader | (() => string | Secret | undefined | Promise<string | Secret | undefined>);

/**
 * Reads the secret from an environment variable at each login.
 *
 * @throws VaultError `VAULT_SOURCE_UNREADABLE` at login where the variable is unset or empty
 * @publicApi
 */
export function fromEnv(name: string): SecretReader {
  return {
    // Where the secret itself was given instead of the name of its variable, it must not be told.
    description:
      typeof name === 'string' && /^[A-Za-z_]\w{0,63}$/.test(name)
        ? `environment variable ${name}`
        : 'environment variable (fromEnv takes the name of one; what it was given is not shown)',
    async read() {
      return nonEmpty(process.env[name], this.description);
    },
  };
}

/**
 * Reads the secret from a file at each login; surrounding white space is removed. Where the file has gone or is
 * empty at a later login, the value read last is used, as orchestrators replace files in steps.
 *
 * @param options.deleteAfterRead remove the file once read (default false); a failure to do so is a warning
 * @throws VaultError `VAULT_SOURCE_UNREADABLE` at login where the file was never readable
 * @publicApi
 */
export function fromFile(path: string, options: { deleteAfterRead?: boolean } = {}): SecretReader {
  let last: Secret | undefined;
  return {
    // Where the secret itself was given instead of the path of its file, it must not be told.
    description:
      typeof path === 'string' && /[\\/]/.test(path)
        ? `file ${path}`
        : 'file (fromFile takes a path; what it was given has no slash, and is not shown)',
    async read(context) {
      let text: string | undefined;
      let failure = 'is empty';
      try {
        text = (await readFile(path, 'utf8')).trim();
      } catch (error) {
        failure = `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`;
      }
      if (text) {
        last = new Secret(text);
        if (options.deleteAfterRead) {
          await unlink(path).catch(() =>
            context.warn(`could not delete ${path} after reading the secret in it`),
          );
        }
      }
      if (last === undefined) throw unreadable(this.description, failure);
      return last;
    },
    version: () =>
      stat(path).then(
        ({ size, mtimeMs }) => (size > 0 ? `${size}:${mtimeMs}` : ''),
        () => '',
      ),
  };
}

/**
 * Takes the secret out of a response-wrapping token. The token is looked up first and must have been created at
 * the expected path (`creationPath`, or by default the `secret-id` endpoint of any role below the AppRole mount),
 * then it is unwrapped, once. The secret is kept in memory for later logins, until the source yields another token.
 *
 * @param source where the wrapping token comes from
 * @param options.creationPath the exact path, as `auth/approle/role/orders/secret-id`
 * @throws VaultError `VAULT_WRAPPING_TOKEN_INVALID` where it was used already or has expired (somebody else may
 * hold the secret now), `VAULT_WRAPPING_PATH_MISMATCH` where it was created elsewhere (it may have been swapped)
 * @publicApi
 */
export function fromWrappedToken(
  source: SecretSource,
  options: { creationPath?: string } = {},
): SecretReader {
  let unwrapped: { from: string; secret: Secret } | undefined;
  return {
    description: 'response-wrapping token',
    async read(context) {
      const token = await readSecret(source, context, this.description);
      if (unwrapped?.from === token.reveal()) return unwrapped.secret;

      // Without the token as a header: it has one use, and the look-up must not be it.
      const body = { token: token.reveal() };
      const lookup = await context.send({ method: 'POST', path: 'sys/wrapping/lookup', body });
      const createdAt = (lookup.data as { creation_path?: unknown } | null)?.creation_path;
      const expected = options.creationPath;
      const matches =
        typeof createdAt === 'string' &&
        (expected === undefined ? context.expectedPath.test(createdAt) : createdAt === expected);
      if (!matches) {
        throw new VaultError({
          code: 'VAULT_WRAPPING_PATH_MISMATCH',
          message: 'The wrapping token was not created where this application expects it.',
          hint:
            'SECURITY: the token may have been swapped on its way. Treat it as hostile, find out who delivered ' +
            `it, and issue a new wrapped secret_id${expected ? ` at ${expected}` : ''}. It was not unwrapped.`,
          path: 'sys/wrapping/lookup',
        });
      }

      const response = await context.send({ method: 'POST', path: 'sys/wrapping/unwrap' }, token);
      const secretId = (response.data as { secret_id?: unknown } | null)?.secret_id;
      const secret = nonEmpty(typeof secretId === 'string' ? secretId : undefined, this.description);
      unwrapped = { from: token.reveal(), secret };
      return secret;
    },
  };
}

/** Reads any {@link SecretSource} once. */
export async function readSecret(
  source: SecretSource,
  context: SecretSourceContext,
  description: string,
): Promise<Secret> {
  if (typeof source === 'object' && !isSecret(source)) return source.read(context);
  let value: string | Secret | undefined;
  try {
    value = typeof source === 'function' ? await source() : source;
  } catch (cause) {
    if (cause instanceof VaultError) throw cause;
    // The function's own error may hold anything, so only its class is told.
    throw unreadable(description, `threw ${classOf(cause)}`);
  }
  return nonEmpty(isSecret(value) ? (value as Secret).reveal() : value, description);
}

function nonEmpty(value: unknown, description: string): Secret {
  const text = typeof value === 'string' ? value.trim() : '';
  if (text === '') throw unreadable(description, 'is unset or empty');
  return new Secret(text);
}

function unreadable(description: string, problem: string): VaultError {
  return new VaultError({
    code: 'VAULT_SOURCE_UNREADABLE',
    message: `A secret that the login needs is missing: ${description} ${problem}.`,
    hint: 'Have the orchestrator deliver it before the process starts; it is read again at each login.',
  });
}

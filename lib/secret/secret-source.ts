import { readFile, stat, unlink } from 'node:fs/promises';
import { classOf } from '../errors/printable.js';
import { unknownOptions } from '../errors/unknown-options.js';
import { VaultError } from '../errors/vault-error.js';
import { isSource, problemsOf } from './is-source.js';
import { isSecret, type Secret } from './secret.js';
import { secretOf, unreadable } from './secret-text.js';

/** What a source may need besides itself: a way to ask the server, for wrapped secrets. */
export interface SecretSourceContext {
  /** Sends one request with the given token, without any retry. */
  send(request: { method: 'POST'; path: string; body?: unknown }, token?: Secret): Promise<UnwrappedAnswer>;
  /** Something to tell the operator that is no failure. */
  warn(message: string): void;
  /** What is read now, for the error of a login that takes too long; nothing when that has answered. */
  reading(source: string | undefined): void;
  /** What a wrapping token should hold. */
  wrapped: WrappedSecret;
}

/** The part of an answer that secrets come in. */
export interface UnwrappedAnswer {
  data: unknown;
  auth?: { client_token?: unknown } | null;
}

/** The kind of secret that a login takes out of a wrapping token. */
export interface WrappedSecret {
  kind: 'secret_id' | 'token';
  /** Where it should have been made. */
  path: RegExp;
  /** Takes it out of the answer. */
  of(answer: UnwrappedAnswer): unknown;
}

/** A place that a secret is read from; made by {@link fromEnv}, {@link fromFile}, {@link fromWrappedToken}. */
export interface SecretReader {
  /** Named in errors; never holds the secret. */
  readonly description: string;
  read(context: SecretSourceContext): Promise<Secret>;
  /** Differs when there is another value to read; '' while there is none. For what is watched: a token file. */
  version?(): Promise<string>;
  /** What is wrong with its options; refused at the start. @internal */
  readonly problems?: readonly string[];
}

/** A secret as a source yields it: a text, its bytes in UTF-8, or either of them as a {@link Secret}. */
type SecretValue = string | Uint8Array | Secret<string | Uint8Array>;

/**
 * Where a secret comes from at run time: a value (a text, a {@link Secret}, a Buffer), a function that returns one (or a
 * promise of it), or one of {@link fromEnv}, {@link fromFile}, {@link fromWrappedToken}. It is read again at each login.
 * White space around it is dropped; what is no single line of text, or JSON, is refused (`VAULT_SOURCE_UNREADABLE`).
 *
 * @publicApi
 */
export type SecretSource =
  SecretValue | SecretReader | (() => SecretValue | undefined | Promise<SecretValue | undefined>);

/** Of the process, as its environment is: the other copy (ESM, CommonJS) of this package takes part. */
const KEPT = Symbol.for('nestjs-vault.environment');

/** Values that were read and deleted, by the name of their variable. */
function kept(): Map<string, Secret> {
  const holder = globalThis as { [KEPT]?: Map<string, Secret> };
  return (holder[KEPT] ??= new Map());
}

/**
 * Reads the secret from an environment variable at each login.
 *
 * @param options.deleteAfterRead remove the variable once read (default false), so that child processes and
 * `process.report` do not get it. The value read last is kept as a `Secret` for later logins, one for all sources of that
 * name. On Linux `/proc/<pid>/environ` shows the environment that the process was started with all the same: a file
 * ({@link fromFile}) is better.
 * @throws VaultError `VAULT_SOURCE_UNREADABLE` at login where the variable is unset or empty; `VAULT_CONFIG_INVALID` at
 * the start for options that it does not have
 * @publicApi
 */
export function fromEnv(name: string, options: { deleteAfterRead?: boolean } = {}): SecretReader {
  const problems = unknownOptions('fromEnv', options, ['deleteAfterRead']);
  if (typeof name !== 'string') problems.push('`fromEnv` needs the name of an environment variable');
  return {
    problems,
    // Where the secret itself was given instead of the name of its variable, it must not be told.
    description:
      typeof name === 'string' && /^[A-Za-z_]\w{0,63}$/.test(name)
        ? `environment variable ${name}`
        : 'environment variable (fromEnv takes the name of one; what it was given is not shown)',
    async read() {
      const value = process.env[name];
      const before = kept().get(name);
      if (!value?.trim() && before) return before;
      const secret = secretOf(value, this.description);
      if (options.deleteAfterRead) delete process.env[name];
      if (options.deleteAfterRead || before) kept().set(name, secret);
      return secret;
    },
  };
}

/**
 * Reads the secret from a file at each login; surrounding white space is removed. Where the file has gone, is empty, or
 * holds something else than a line of text at a later login, the value read last is used, as orchestrators replace files
 * in steps; what was found in its place is a warning.
 *
 * @param options.deleteAfterRead remove the file once read (default false); a failure to do so is a warning
 * @throws VaultError `VAULT_SOURCE_UNREADABLE` at login where the file was never readable, or holds UTF-16, NUL
 * characters, several lines or JSON; `VAULT_CONFIG_INVALID` at the start for options that it does not have
 * @publicApi
 */
export function fromFile(path: string, options: { deleteAfterRead?: boolean } = {}): SecretReader {
  const problems = unknownOptions('fromFile', options, ['deleteAfterRead']);
  if (typeof path !== 'string') problems.push('`fromFile` needs the path of a file');
  let last: Secret | undefined;
  return {
    problems,
    // Where the secret itself was given instead of the path of its file, it must not be told.
    description:
      typeof path === 'string' && /[\\/]/.test(path)
        ? `file ${path}`
        : 'file (fromFile takes a path; what it was given has no slash, and is not shown)',
    async read(context) {
      let bytes: Uint8Array;
      try {
        bytes = await readFile(path);
      } catch (error) {
        if (last !== undefined) return last;
        const { code = 'unknown error' } = error as NodeJS.ErrnoException;
        throw unreadable(this.description, `cannot be read (${code})`);
      }
      if (isBlank(bytes)) {
        if (last !== undefined) return last;
        throw unreadable(this.description, 'is empty');
      }
      try {
        last = secretOf(bytes, this.description);
      } catch (error) {
        if (last === undefined) throw error;
        context.warn(`${(error as VaultError).message} The value read before is used.`);
        return last;
      }
      if (options.deleteAfterRead) {
        await unlink(path).catch(() =>
          context.warn(`could not delete ${path} after reading the secret in it`),
        );
      }
      return last;
    },
    version: () =>
      stat(path).then(
        ({ size, mtimeMs }) => (size > 0 ? `${size}:${mtimeMs}` : ''),
        () => '',
      ),
  };
}

const isBlank = (bytes: Uint8Array) => bytes.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));

/**
 * Takes the secret out of a response-wrapping token: a secret_id in {@link appRole}, a token in {@link token}. The
 * wrapping token is looked up first and must have been created at the expected path (`creationPath`; by default the
 * `secret-id` endpoint of any role below the AppRole mount, or `auth/token/create`, `create-orphan` and `create/<role>`),
 * then it is unwrapped, once. The secret is kept in memory for later logins, until the source yields another token.
 *
 * @param source where the wrapping token comes from
 * @param options.creationPath the exact path, as `auth/approle/role/orders/secret-id`, or where the secret_id is one of
 * the operator's own, `auth/approle/role/orders/custom-secret-id`
 * @throws VaultError `VAULT_WRAPPING_TOKEN_INVALID` where it was used already or has expired (somebody else may
 * hold the secret now), `VAULT_WRAPPING_PATH_MISMATCH` where it was created elsewhere (it may have been swapped);
 * `VAULT_CONFIG_INVALID` at the start for options that it does not have
 * @publicApi
 */
export function fromWrappedToken(
  source: SecretSource,
  options: { creationPath?: string } = {},
): SecretReader {
  const problems = [...unknownOptions('fromWrappedToken', options, ['creationPath']), ...problemsOf(source)];
  if (!isSource(source)) problems.push('`fromWrappedToken` needs a source of the wrapping token');
  let unwrapped: { from: string; secret: Secret } | undefined;
  return {
    problems,
    description: 'response-wrapping token',
    async read(context) {
      const token = await readSecret(source, context, this.description);
      if (unwrapped?.from === token.reveal()) return unwrapped.secret;
      // From here on it is the server that is waited for.
      context.reading(undefined);

      // Without the token as a header: it has one use, and the look-up must not be it.
      const body = { token: token.reveal() };
      const lookup = await context.send({ method: 'POST', path: 'sys/wrapping/lookup', body });
      const createdAt = (lookup.data as { creation_path?: unknown } | null)?.creation_path;
      const { wrapped } = context;
      const { creationPath } = options;
      const matches =
        typeof createdAt === 'string' &&
        (creationPath === undefined ? wrapped.path.test(createdAt) : createdAt === creationPath);
      if (!matches) throw createdElsewhere(wrapped, creationPath);

      const answer = await context.send({ method: 'POST', path: 'sys/wrapping/unwrap' }, token);
      const secret = secretOf(wrapped.of(answer), `${wrapped.kind} in the ${this.description}`);
      unwrapped = { from: token.reveal(), secret };
      return secret;
    },
  };
}

function createdElsewhere({ kind }: WrappedSecret, creationPath: string | undefined): VaultError {
  const own =
    creationPath === undefined
      ? ` Where ${kind === 'token' ? 'tokens come from a login' : 'secret_ids are made at custom-secret-id'} on ` +
        'purpose, name that path as `creationPath` of `fromWrappedToken`.'
      : '';
  return new VaultError({
    code: 'VAULT_WRAPPING_PATH_MISMATCH',
    message: 'The wrapping token was not created where this application expects it.',
    hint:
      'SECURITY: the token may have been swapped on its way. Treat it as hostile, find out who delivered it, and ' +
      `issue a new wrapped ${kind}${creationPath ? ` at ${creationPath} (\`creationPath\`)` : ''}. ` +
      `It was not unwrapped.${own}`,
    path: 'sys/wrapping/lookup',
  });
}

/** Reads any {@link SecretSource} once. */
export async function readSecret(
  source: SecretSource,
  context: SecretSourceContext,
  description: string,
): Promise<Secret> {
  const reader = isReader(source) ? source : undefined;
  context.reading(reader?.description ?? `${description} (a function)`);
  try {
    if (reader) return await reader.read(context);
    return secretOf(typeof source === 'function' ? await source() : source, description);
  } catch (cause) {
    if (cause instanceof VaultError) throw cause;
    // The function's own error may hold anything, so only its class is told.
    throw unreadable(description, `threw ${classOf(cause)}`);
  } finally {
    context.reading(undefined);
  }
}

function isReader(source: unknown): source is SecretReader {
  return (
    typeof source === 'object' && source !== null && !isSecret(source) && !(source instanceof Uint8Array)
  );
}

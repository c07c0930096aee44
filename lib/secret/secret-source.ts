import fs from 'node:fs';
import { classOf } from '../errors/printable.js';
import { unknownOptions } from '../errors/unknown-options.js';
import { VaultError } from '../errors/vault-error.js';
import { isSecret, type Secret } from './secret.js';
import { secretOf, unreadable } from './secret-text.js';

/** The context of a read: a way to send requests, for wrapped secrets. @inline */
export interface SecretSourceContext {
  /** Sends one request with the given token, without retries. */
  send(request: { method: 'POST'; path: string; body?: unknown }, token?: Secret): Promise<UnwrappedAnswer>;
  /** Emits a `warning` event, for problems that are not failures. */
  warn(message: string, code?: 'login-input-kept' | 'login-input-not-deleted'): void;
  /** Sets the source that is being read, for the error of a login that takes too long; undefined after its answer. */
  reading(source: string | undefined): void;
  /** The input that is read. */
  input: Omit<SecretInput, 'namespace'>;
}

/** The members of an answer that can contain the secret. @inline */
export interface UnwrappedAnswer {
  data: unknown;
  auth?: { client_token?: unknown } | null;
}

/**
 * A secret input of an auth method.
 *
 * @publicApi
 */
export interface SecretInput {
  /**
   * Its name at the server, for errors: `secret_id`, `jwt`. A {@link fromWrappedToken} takes the member of this name from
   * the `data` of the wrapped answer; if there is none, the token of a wrapped login.
   */
  name: string;
  /**
   * Creation paths of a wrapping token that are expected, if {@link fromWrappedToken} names none. Without either, a
   * wrapping token is refused.
   */
  wrappedAt?: RegExp;
  /** Namespace of wrapping tokens. @default the namespace of the connection */
  namespace?: string;
}

/** A source with its own way to read; made by {@link fromEnv}, {@link fromFile}, {@link fromWrappedToken}. */
export interface SecretReader {
  /** The name for errors; never contains the secret. */
  readonly description: string;
  /** Reads the secret; called at each login. */
  read(context: SecretSourceContext): Promise<Secret>;
  /** Changes with the value; '' if there is none. For watched sources, as a token file. */
  version?(): Promise<string>;
  /**
   * Reports cheaply that {@link SecretReader.read} would find nothing, as a phrase without secrets (`environment variable
   * X is unset or empty`); otherwise `undefined`. `firstAvailable` asks it.
   */
  missing?(): Promise<string | undefined>;
  /** The problems of its options, which fail the start. @internal */
  readonly problems?: readonly string[];
}

/** The result of a source: a string, its bytes in UTF-8, or either of them as a {@link Secret}. @inline */
type SecretValue = string | Uint8Array | Secret<string | Uint8Array>;

/**
 * The source of a secret at run time: a value (a string, a {@link Secret}, a Buffer), a function that returns one (or a
 * promise of it), or one of {@link fromEnv}, {@link fromFile}, {@link fromWrappedToken}. It is read again at each
 * login. Surrounding white space is removed; a value that is JSON or not a single line of text is refused
 * (`VAULT_SOURCE_UNREADABLE`).
 *
 * @publicApi
 */
export type SecretSource =
  SecretValue | SecretReader | (() => SecretValue | undefined | Promise<SecretValue | undefined>);

/** Shared by the process, like its environment: also by the other copy (ESM, CommonJS) of this package. */
const KEPT = Symbol.for('nestjs-vault.environment');

/** Values of deleted variables, by name. */
function kept(): Map<string, Secret> {
  const holder = globalThis as { [KEPT]?: Map<string, Secret> };
  return (holder[KEPT] ??= new Map());
}

/**
 * Reads the secret from an environment variable at each login.
 *
 * @param options.deleteAfterRead remove the variable once read (default false), so that child processes and
 * `process.report` do not get it. The last value is kept as a `Secret` for later logins, shared by all sources of that
 * name. On Linux `/proc/<pid>/environ` still shows the initial environment of the process: a file ({@link fromFile}) is
 * safer.
 * @throws VaultError `VAULT_SOURCE_UNREADABLE` at login if the variable is unset or empty; `VAULT_CONFIG_INVALID` at
 * the start for unknown options
 * @publicApi
 */
export function fromEnv(name: string, options: { deleteAfterRead?: boolean } = {}): SecretReader {
  const problems = unknownOptions('fromEnv', options, ['deleteAfterRead']);
  if (typeof name !== 'string') problems.push('`fromEnv` needs the name of an environment variable');
  return {
    problems,
    // The application may have given the secret itself instead of the name of its variable: it must not be printed.
    description:
      typeof name === 'string' && /^[A-Za-z_]\w{0,63}$/.test(name)
        ? `environment variable ${name}`
        : 'environment variable (fromEnv takes the name of one; the given value is not shown)',
    async missing() {
      return process.env[name]?.trim() || kept().has(name)
        ? undefined
        : `${this.description} is unset or empty`;
    },
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
 * Reads the secret from a file at each login; surrounding white space is removed. If the file is missing, empty, or not
 * a single line of text at a later login, the last value is used, as orchestrators replace files in steps; other
 * contents cause a warning.
 *
 * @param options.deleteAfterRead remove the file once read (default false); a failure to do so is a warning
 * @throws VaultError `VAULT_SOURCE_UNREADABLE` at login if the file was never readable, or contains UTF-16, NUL
 * characters, several lines or JSON; `VAULT_CONFIG_INVALID` at the start for unknown options
 * @publicApi
 */
export function fromFile(path: string, options: { deleteAfterRead?: boolean } = {}): SecretReader {
  const problems = unknownOptions('fromFile', options, ['deleteAfterRead']);
  if (typeof path !== 'string') problems.push('`fromFile` needs the path of a file');
  let last: Secret | undefined;
  return {
    problems,
    // The application may have given the secret itself instead of the path of its file: it must not be printed.
    description:
      typeof path === 'string' && /[\\/]/.test(path)
        ? `file ${path}`
        : 'file (fromFile takes a path; the given value has no slash, and is not shown)',
    async read(context) {
      let bytes: Uint8Array;
      try {
        bytes = await fs.promises.readFile(path);
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
        context.warn(`${(error as VaultError).message} The previous value is used.`, 'login-input-kept');
        return last;
      }
      if (options.deleteAfterRead) {
        await fs.promises
          .unlink(path)
          .catch(() =>
            context.warn(
              `The file ${path} could not be deleted after the secret was read.`,
              'login-input-not-deleted',
            ),
          );
      }
      return last;
    },
    missing() {
      if (last !== undefined) return Promise.resolve(undefined);
      return fs.promises.stat(path).then(
        ({ size }) => (size > 0 ? undefined : `${this.description} is empty`),
        ({ code = 'unknown error' }: NodeJS.ErrnoException) => `${this.description} cannot be read (${code})`,
      );
    },
    version: () =>
      fs.promises.stat(path).then(
        ({ size, mtimeMs }) => (size > 0 ? `${size}:${mtimeMs}` : ''),
        () => '',
      ),
  };
}

const isBlank = (bytes: Uint8Array) => bytes.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));

/**
 * Takes the secret out of a response-wrapping token: a secret_id in {@link appRole}, a token in {@link token}. The
 * wrapping token is looked up first and must have been created at the expected path (`creationPath`; by default the
 * `secret-id` endpoint of any role below the AppRole mount, or `auth/token/create`, `create-orphan` and
 * `create/<role>`), then it is unwrapped, once. The secret is kept in memory for later logins, until the source yields
 * another token.
 *
 * @param source the source of the wrapping token
 * @param options.creationPath the exact path, as `auth/approle/role/orders/secret-id`, or for a secret_id that the
 * operator chose, `auth/approle/role/orders/custom-secret-id`
 * @throws VaultError `VAULT_WRAPPING_TOKEN_INVALID` if it was used already or has expired (another process may have the
 * secret), `VAULT_WRAPPING_PATH_MISMATCH` if it was created at another path (it may have been exchanged);
 * `VAULT_CONFIG_INVALID` at the start for unknown options
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
    missing: () => missingIn(source, 'response-wrapping token'),
    async read(context) {
      const token = await readSecret(source, context, this.description);
      if (unwrapped?.from === token.reveal()) return unwrapped.secret;
      // From here on the login waits for the server, not for the source.
      context.reading(undefined);

      // Without the token in the header: the look-up must not take its only use.
      const body = { token: token.reveal() };
      const lookup = await context.send({ method: 'POST', path: 'sys/wrapping/lookup', body });
      const createdAt = (lookup.data as { creation_path?: unknown } | null)?.creation_path;
      const { name, wrappedAt } = context.input;
      const { creationPath } = options;
      const matches =
        typeof createdAt === 'string' &&
        (creationPath === undefined ? wrappedAt?.test(createdAt) === true : createdAt === creationPath);
      if (!matches) throw createdElsewhere(name, creationPath);

      const answer = await context.send({ method: 'POST', path: 'sys/wrapping/unwrap' }, token);
      const secret = secretOf(contentOf(answer, name), `${name} in the ${this.description}`);
      unwrapped = { from: token.reveal(), secret };
      return secret;
    },
  };
}

/** The secret in an unwrapped answer. */
function contentOf({ data, auth }: UnwrappedAnswer, name: string): unknown {
  return (data as Record<string, unknown> | null)?.[name] ?? auth?.client_token;
}

function createdElsewhere(name: string, creationPath: string | undefined): VaultError {
  const own =
    creationPath === undefined
      ? ` If each ${name} is made at another path on purpose, set \`creationPath\` of \`fromWrappedToken\` to that path.`
      : '';
  return new VaultError({
    code: 'VAULT_WRAPPING_PATH_MISMATCH',
    message: 'The wrapping token was not created where this application expects it.',
    hint:
      'SECURITY: the token may have been exchanged on its way. Treat it as hostile, find its sender, and ' +
      `issue a new wrapped ${name}${creationPath ? ` at ${creationPath} (\`creationPath\`)` : ''}. ` +
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
    // The function's own error may contain secrets, so the message names only its class.
    throw unreadable(description, `threw ${classOf(cause)}`);
  } finally {
    context.reading(undefined);
  }
}

/**
 * Why a source has nothing now, as a phrase; `undefined` if it has, or only a read can find out: a function is not called.
 *
 * @param name of the input, as `jwt`
 */
export async function missingIn(source: SecretSource, name: string): Promise<string | undefined> {
  if (isReader(source)) return source.missing?.();
  if (typeof source === 'function') return undefined;
  const value: unknown = isSecret(source) ? source.reveal() : source;
  return (value as string | Uint8Array | undefined)?.length ? undefined : `${name} is empty`;
}

function isReader(source: unknown): source is SecretReader {
  return (
    typeof source === 'object' && source !== null && !isSecret(source) && !(source instanceof Uint8Array)
  );
}

/** Whether a value can be a {@link SecretSource}; the login shows whether it has a secret. */
export function isSource(value: unknown): value is SecretSource {
  if (typeof value === 'string') return value.trim() !== '';
  if (value instanceof Uint8Array) return value.length > 0;
  if (typeof value === 'function' || isSecret(value)) return true;
  return (
    typeof value === 'object' && value !== null && typeof (value as { read?: unknown }).read === 'function'
  );
}

/** The problems of a source's options. */
export function problemsOf(source: unknown): readonly string[] {
  const { problems } = (source ?? {}) as Partial<SecretReader>;
  return Array.isArray(problems) ? problems : [];
}

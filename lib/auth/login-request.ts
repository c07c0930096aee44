import { barePath, encodeMount } from '../client/path.js';
import { unknownOptions } from '../errors/unknown-options.js';
import { VaultError } from '../errors/vault-error.js';
import { isSource, problemsOf, type SecretSource } from '../secret/secret-source.js';
import type { LoginContext, LogInOptions } from './auth-method.js';

/** The options of every method that logs in at a mount of the server. */
export interface MountOptions {
  /** Mount of the method, with or without the slash of the server's listing. */
  mountPath?: string;
  /** Namespace of the method, if it differs from the connection's. */
  namespace?: string;
  /**
   * Source of the current TOTP code, for a server that asks for it as a second factor (a login enforcement). A code
   * serves once, so it is sent once.
   */
  totp?: SecretSource;
}

/** The checked options of a method at a mount, and its place at the server. */
export interface MountedMethod<O> {
  readonly given: Partial<O>;
  readonly problems: string[];
  /** Mount path without slashes around it. */
  readonly mount: string;
  /** What its requests share. */
  readonly place: Pick<LogInOptions, 'namespace' | 'totp'>;
}

/** Names of the options of a method, besides those that all methods share. */
interface OptionNames<O> {
  readonly required?: readonly (string & keyof O)[];
  readonly optional?: readonly (string & keyof O)[];
}

/**
 * The options of a method, without those that are undefined, and the problems that any option can have. White space
 * around a text is removed, as around a secret: files and variables add it.
 *
 * An optional one that is given as undefined is a problem: the variable that it comes from is not set, and its default
 * would log in as another role, or at another place.
 *
 * @param owner the function of the method, as `appRole`
 */
export function givenOptions<O extends object>(
  owner: string,
  options: O,
  { required = [], optional = [] }: OptionNames<O>,
): Pick<MountedMethod<O>, 'given' | 'problems'> {
  const label = `auth: ${owner}`;
  const all: Partial<O> = typeof options === 'object' && options !== null ? options : {};
  const given: Partial<O> = {};
  for (const name of [...required, ...optional]) {
    const value = all[name];
    if (value !== undefined)
      given[name] = (typeof value === 'string' ? value.trim() : value) as O[typeof name];
  }
  const unset = optional.filter((name) => name in all && all[name] === undefined);
  return {
    given,
    problems: [
      ...unknownOptions(label, options, [...required, ...optional]),
      ...unset.map(
        (name) =>
          `\`${label}\` has a \`${name}\` that is undefined: leave it out for the default, or set the variable that it comes from`,
      ),
    ],
  };
}

/**
 * Checks the options that all methods at a mount share.
 *
 * @param owner the function of the method, as `appRole`
 */
export function atMount<O extends MountOptions>(
  owner: string,
  options: O,
  { required = [], optional = [] }: OptionNames<O>,
  defaultMount: string,
): MountedMethod<O> {
  const { given, problems } = givenOptions(owner, options, {
    required,
    optional: [...optional, 'mountPath', 'namespace', 'totp'],
  });
  const { mountPath = defaultMount } = given;
  const { place, problems: ofPlace } = placeOf(owner, given);
  problems.push(...ofPlace);
  try {
    encodeMount(mountPath, 'mountPath');
  } catch {
    problems.push(`\`auth: ${owner}\` has a \`mountPath\` that is not a path`);
  }
  return {
    given,
    problems,
    mount: typeof mountPath === 'string' ? barePath(mountPath) : '',
    place,
  };
}

/** Checks the options that all logins at the server share. */
export function placeOf(
  owner: string,
  { namespace, totp }: Pick<MountOptions, 'namespace' | 'totp'>,
): Pick<MountedMethod<unknown>, 'place' | 'problems'> {
  const problems = namespaceProblems(`auth: ${owner}`, namespace);
  if (totp !== undefined) problems.push(...sourceProblems(owner, 'totp', totp));
  return {
    problems,
    place: { ...(namespace !== undefined && { namespace }), ...(totp !== undefined && { totp }) },
  };
}

/** The problems of the namespace of a method. */
function namespaceProblems(label: string, namespace: unknown): string[] {
  if (namespace === undefined) return [];
  if (typeof namespace !== 'string') return [`\`${label}\` has a \`namespace\` that is not a string`];
  return namespace === ''
    ? [`\`${label}\` has a \`namespace\` that is empty (use "root" for the root namespace)`]
    : [];
}

/** The problems of an option that is a secret source. */
export function sourceProblems(owner: string, option: string, source: unknown, advice = ''): string[] {
  const problems = [...problemsOf(source)];
  if (!isSource(source))
    problems.unshift(
      `\`auth: ${owner}\` needs a \`${option}\`: a value, a function, fromEnv, fromFile or fromWrappedToken${advice}`,
    );
  return problems;
}

/** The problems of {@link givenOptions} that are texts: `required` ones, and `optional` ones. */
export function textProblems<O extends object>(
  owner: string,
  given: O,
  { required = [], optional = [] }: OptionNames<O>,
): string[] {
  const isText = (name: keyof O) => typeof given[name] === 'string' && given[name] !== '';
  return [
    ...required.filter((name) => !isText(name)).map((name) => `\`auth: ${owner}\` needs a \`${name}\``),
    ...optional
      .filter((name) => given[name] !== undefined && !isText(name))
      .map((name) => `\`auth: ${owner}\` has a \`${name}\` that is empty or not a string`),
  ];
}

/**
 * The error of a failed login. A login that the server denies without a reason gets one: whether the method is enabled,
 * which a probe finds out, decides.
 */
export async function explainedDenial(
  error: unknown,
  isEnabledThere: () => Promise<boolean>,
  explained: Readonly<Record<'enabled' | 'notEnabled', (path: string) => VaultError>>,
): Promise<unknown> {
  const denied = error instanceof VaultError && error.code === 'VAULT_LOGIN_DENIED' && error.status === 403;
  if (!denied) return error;
  return explained[(await isEnabledThere()) ? 'enabled' : 'notEnabled'](error.path ?? 'its path');
}

/**
 * Whether a method is enabled at a path. The server answers alike for a user or role that is locked out and for a method
 * that is not enabled: 403. A login with made-up inputs distinguishes them: an enabled method refuses it with a 400 or 500.
 *
 * @param madeUp random inputs of this method, because a lock-out is by name
 */
export async function isEnabled(
  context: LoginContext,
  path: string,
  madeUp: Readonly<Record<string, unknown>>,
  { namespace, explain }: LogInOptions,
): Promise<boolean> {
  const options = { ...(namespace !== undefined && { namespace }), ...(explain && { explain }) };
  const answer: unknown = await context.logIn(path, madeUp, options).catch((error: unknown) => error);
  return answer instanceof VaultError && (answer.status === 400 || answer.status === 500);
}

export function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

import { VaultError } from '../errors/vault-error.js';
import type { AuthMethod, LoginContext, VersionContext } from './auth-method.js';
import { authProblems } from './auth-problems.js';

/**
 * Logs in with the first of several methods whose inputs are there, so that one image runs on a laptop, in CI and in
 * the cluster. A `notice` event, and so a line of the log, says which was chosen, and why those before it were not.
 *
 * A file must exist, a variable must be set, a metadata server must answer. A function counts as an input that is there.
 * The choice is made at each login until one has succeeded. From then on it is kept: an application never changes its
 * identity while it runs. A login that the server refuses is an error, not a reason to try the next method.
 *
 * At login it throws `VAULT_SOURCE_UNREADABLE` if no method has its inputs, and the errors of the chosen method.
 *
 * @example
 * firstAvailable(
 *   kubernetes({ role: 'orders' }),
 *   appRole({ roleId: 'orders', secretId: fromEnv('SECRET_ID') }),
 *   token(fromEnv('VAULT_TOKEN')),
 * );
 * @publicApi
 */
export function firstAvailable(...methods: AuthMethod[]): AuthMethod {
  const problems = methods.flatMap((method, index) =>
    authProblems(method).map((problem) => `method ${index + 1} of \`auth: firstAvailable\`: ${problem}`),
  );
  if (methods.length === 0) problems.push('`auth: firstAvailable` needs at least one auth method');
  let kept: AuthMethod | undefined;
  // One choice for all that one login asks.
  const choices = new WeakMap<VersionContext, Promise<AuthMethod>>();
  const methodFor = (context: LoginContext): Promise<AuthMethod> => {
    const choice = choices.get(context) ?? choose(methods, context);
    choices.set(context, choice);
    return choice;
  };
  const valid = problems.length === 0;
  return {
    name: 'firstAvailable',
    problems,
    get timeout() {
      const limits = (kept ? [kept] : valid ? methods : []).flatMap(({ timeout }) => timeout ?? []);
      return limits.length === 0 ? undefined : Math.max(...limits);
    },
    async login(context) {
      const method = kept ?? (await methodFor(context));
      const login = await method.login(context);
      kept = method;
      return login;
    },
    ...(valid &&
      methods.some((method) => method.version !== undefined) && {
        async version(context: VersionContext) {
          const method = kept ?? (isOfLogin(context) ? await methodFor(context) : undefined);
          return (await method?.version?.(context)) ?? '';
        },
      }),
  };
}

function isOfLogin(context: VersionContext): context is LoginContext {
  return 'logIn' in context;
}

async function choose(methods: readonly AuthMethod[], context: LoginContext): Promise<AuthMethod> {
  const without: string[] = [];
  for (const [index, method] of methods.entries()) {
    const missing = await method.missing?.(context);
    if (missing === undefined) {
      const others = without.length === 0 ? '' : ` Without their inputs: ${without.join('; ')}.`;
      context.notice(`Logs in with ${method.name}, method ${index + 1} of firstAvailable.${others}`);
      return method;
    }
    without.push(`${index + 1}. ${method.name} (${missing})`);
  }
  throw new VaultError({
    code: 'VAULT_SOURCE_UNREADABLE',
    message: `No method of firstAvailable has its inputs: ${without.join('; ')}.`,
    hint: 'Deliver the inputs of one of them before the process starts; they are looked for again at each login.',
  });
}

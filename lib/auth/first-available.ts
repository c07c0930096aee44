import { phraseOf, VaultError } from '../errors/vault-error.js';
import type { AuthMethod, LoginContext } from './auth-method.js';
import { authProblems } from './auth-problems.js';

/**
 * Logs in with the first of several methods whose inputs are there, so that one image runs on a laptop, in CI and in
 * the cluster. A `notice` event, and so a line of the log, says which was chosen, and why those before it were not.
 *
 * A file must exist, a variable must be set, a metadata server must answer. A function counts as an input that is there.
 * A provider or agent that does not answer is asked once more before a later method is chosen. The choice is made at each
 * login until one has succeeded. From then on the connection keeps it: it never changes its identity while it runs. A
 * login that the server refuses is an error, not a reason to try the next method.
 *
 * At login it throws `VAULT_SOURCE_UNREADABLE` if no method has its inputs, `VAULT_LOGIN_PROVIDER_UNAVAILABLE` if those of
 * one may come later, and the errors of the chosen method.
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
  const choose = (context: LoginContext) => chooseOf(methods, context);
  return {
    name: 'firstAvailable',
    problems,
    choose,
    login: async (context) => (await choose(context)).login(context),
  };
}

/** An input that is not there now, and whether it may come without an operator. */
interface Miss {
  readonly reason: string;
  readonly later: boolean;
}

async function chooseOf(methods: readonly AuthMethod[], context: LoginContext): Promise<AuthMethod> {
  const misses: Miss[] = [];
  for (const method of methods) {
    const miss = await missOf(method, context);
    if (!miss) return chosen(methods, misses, context);
    misses.push(miss);
  }
  const without = `No method of firstAvailable has its inputs: ${listed(methods, misses)}.`;
  if (misses.some(({ later }) => later))
    throw new VaultError({
      code: 'VAULT_LOGIN_PROVIDER_UNAVAILABLE',
      message: without,
      hint: 'A provider or an agent may answer later: the login is tried again. Or deliver the inputs of another method.',
    });
  throw new VaultError({
    code: 'VAULT_SOURCE_UNREADABLE',
    message: without,
    hint: 'Deliver the inputs of one of them before the process starts; they are looked for again at each login.',
  });
}

/** The method after those with a miss; or one of these, whose provider answers when it is asked once more. */
async function chosen(
  methods: readonly AuthMethod[],
  misses: Miss[],
  context: LoginContext,
): Promise<AuthMethod> {
  let index = misses.length;
  for (const [earlier, { later }] of misses.entries())
    if (later && !(await missOf(methods[earlier] as AuthMethod, context))) {
      index = earlier;
      break;
    }
  const method = methods[index] as AuthMethod;
  const others = index === 0 ? '' : ` Without their inputs: ${listed(methods, misses.slice(0, index))}.`;
  context.notice(`Logs in with ${method.name}, method ${index + 1} of firstAvailable.${others}`);
  return (await method.choose?.(context)) ?? method;
}

async function missOf(method: AuthMethod, context: LoginContext): Promise<Miss | undefined> {
  try {
    const reason = await method.missing?.(context);
    return reason === undefined ? undefined : { reason, later: false };
  } catch (error) {
    if (!(error instanceof VaultError && error.code === 'VAULT_LOGIN_PROVIDER_UNAVAILABLE')) throw error;
    return { reason: phraseOf(error), later: true };
  }
}

function listed(methods: readonly AuthMethod[], misses: readonly Miss[]): string {
  return misses.map(({ reason }, index) => `${index + 1}. ${methods[index]?.name} (${reason})`).join('; ');
}

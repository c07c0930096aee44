import { isObject } from '../client/answer-members.js';

/** Longest delay of a timer, in milliseconds. */
const MAX_TIMEOUT = 2 ** 31 - 1;

/** The problems of a value in the place of an auth method, and of that method's own options. */
export function authProblems(method: unknown): readonly string[] {
  if (!isObject(method) || typeof method['login'] !== 'function')
    return [
      '`auth` must be an auth method: appRole({ roleId, secretId }), token(source), or one of your own',
    ];
  const { name, problems = [] } = method;
  if (typeof name !== 'string' || name === '') return ['`auth` has no `name`, which is a string'];
  const limit = method['timeout'];
  if (limit !== undefined && !(typeof limit === 'number' && limit > 0 && limit <= MAX_TIMEOUT))
    return [`\`timeout\` of \`auth\` must be a number from 1 to ${MAX_TIMEOUT}`];
  return Array.isArray(problems) ? problems.map(String) : ['`problems` of `auth` is not an array'];
}

import { isObject } from '../client/answer-members.js';

/** The problems of a value in the place of an auth method, and of that method's own options. */
export function authProblems(method: unknown): readonly string[] {
  if (!isObject(method) || typeof method['login'] !== 'function')
    return [
      '`auth` must be an auth method: appRole({ roleId, secretId }), token(source), or one of your own',
    ];
  const { name, problems = [] } = method;
  if (typeof name !== 'string' || name === '') return ['`auth` has no `name`, which is a string'];
  return Array.isArray(problems) ? problems.map(String) : ['`problems` of `auth` is not an array'];
}

import { isObject } from '../../client/answer-members.js';

/** Receives each problem: the path in the file, and the expectation. */
export type Report = (path: string, problem: string) => void;

/** Checks one value of a file. No problem shows a value, which may be secret. */
export type Check = (value: unknown, path: string, report: Report) => void;

export function expected(what: string, holds: (value: unknown) => boolean): Check {
  return (value, path, report) => {
    if (!holds(value)) report(path, `must be ${what}, not ${kindOf(value)}`);
  };
}

export const text = expected('a text', (value) => typeof value === 'string' && value.trim() !== '');
export const flag = expected('true or false', (value) => typeof value === 'boolean');
export const count = expected('a whole number', (value) => Number.isSafeInteger(value) && Number(value) >= 0);

export const oneOf = (...values: readonly unknown[]): Check =>
  expected(values.map((value) => JSON.stringify(value)).join(' or '), (value) => values.includes(value));

export const listOf =
  (item: Check): Check =>
  (value, path, report) => {
    if (!Array.isArray(value)) return report(path, `must be a list, not ${kindOf(value)}`);
    value.forEach((one, index) => item(one, `${path}[${index}]`, report));
  };

/** An object with any names as keys. */
export const mapOf =
  (item: Check): Check =>
  (value, path, report) => {
    if (!isObject(value)) return report(path, `must be an object, not ${kindOf(value)}`);
    for (const [key, one] of Object.entries(value)) item(one, below(path, key), report);
  };

/** An object with these members. */
export const objectOf =
  (members: Readonly<Record<string, Check>>, required: readonly string[] = []): Check =>
  (value, path, report) => {
    if (!isObject(value)) return report(path, `must be an object, not ${kindOf(value)}`);
    for (const name of required) if (value[name] === undefined) report(below(path, name), 'is missing');
    for (const [key, one] of Object.entries(value)) {
      const check = Object.hasOwn(members, key) ? members[key] : undefined;
      if (!check) report(below(path, key), `is unknown; known are ${Object.keys(members).join(', ')}`);
      else if (one !== undefined) check(one, below(path, key), report);
    }
  };

/** Either check; the first one reports. */
export const either =
  (first: Check, isSecond: (value: unknown) => boolean, second: Check): Check =>
  (value, path, report) =>
    (isSecond(value) ? second : first)(value, path, report);

/** `databases.shop`, or `kv["team/mail"]` for a key that is no identifier. */
export function below(path: string, key: string): string {
  if (!/^[A-Za-z_]\w*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === '' ? key : `${path}.${key}`;
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'empty';
  if (value === '') return 'an empty text';
  if (Array.isArray(value)) return 'a list';
  return KINDS[typeof value] ?? `a ${typeof value}`;
}

const KINDS: Partial<Record<string, string>> = {
  string: 'this text',
  number: 'this number',
  object: 'an object',
};

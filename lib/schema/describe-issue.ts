import type { StandardSchemaV1 } from '@standard-schema/spec';
import { kindOf } from '../errors/kind-of.js';
import { printable } from '../errors/printable.js';
import { quotes, textsOf } from './quotes.js';

/** An issue, with the members in which validators keep the value that they refused, as it was or transformed. */
export interface Issue extends StandardSchemaV1.Issue {
  /** A description of valid values. */
  readonly expected?: unknown;
  readonly input?: unknown;
  readonly received?: unknown;
  readonly data?: unknown;
  readonly actual?: unknown;
  readonly value?: unknown;
}

const LONGEST = 200;
const LONGEST_KEY = 64;

/**
 * One issue as a phrase that contains nothing of the value: the key, and the validator's message. valibot and arktype
 * quote the value in most messages. Then the phrase has what they expected, and the kind of the value.
 */
export function describeIssue(issue: Issue, root: unknown): string {
  const { message, expected, input, received, data, actual, value } = issue;
  const ofValue = textsOf([root, input, received, data, actual, value]);
  const ofRoot = textsOf(root);
  const { key, kind } = locate(root, [...(issue.path ?? [])], ofRoot);
  // arktype describes the value also in "expected", where a union has several problems.
  const isDescription = typeof expected === 'string' && !expected.includes('(was ');
  const said = [message, isDescription && `expected ${expected}`].find(
    (text, index): text is string =>
      typeof text === 'string' && !quotes(text, index === 0 ? ofValue : ofRoot),
  );
  const found = said === message ? '' : `, found ${kind}`;
  return `${key}: ${printable(said ?? 'not valid', LONGEST)}${found}`;
}

/** The printed path of an issue, and the kind of the value there. */
function locate(
  root: unknown,
  path: NonNullable<Issue['path']>,
  texts: ReturnType<typeof textsOf>,
): { key: string; kind: string } {
  let value = root;
  let known = true;
  const keys = path.map((segment) => {
    const key = typeof segment === 'object' ? segment.key : segment;
    known &&= typeof value === 'object' && value !== null;
    const own = known && Object.hasOwn(value as object, key);
    value = own ? (value as Record<PropertyKey, unknown>)[key] : undefined;
    const name = String(key);
    // A key that is not in the data may come from the schema, or from inside of a transformed value.
    return own || !quotes(name, texts) ? printable(name, LONGEST_KEY) : '…';
  });
  const kind = !known ? 'another value' : value === undefined ? 'nothing' : kindOf(value);
  return { key: keys.join('.') || 'the value', kind };
}

import { createHmac, randomBytes } from 'node:crypto';

/** A key of this process only, so that a fingerprint is useless elsewhere. */
const KEY = randomBytes(32);
let incomparable = 0;

/**
 * A keyed hash: the same text for equal values, without any other information. A value that JSON cannot represent
 * equals no other.
 */
export function fingerprint(value: unknown): string {
  return createHmac('sha256', KEY).update(canonical(value)).digest('base64url');
}

function canonical(value: unknown): string {
  if (typeof value === 'string') return `text ${value}`;
  try {
    return `${typeof value} ${JSON.stringify(value, sorted)}`;
  } catch {
    return `incomparable ${++incomparable}`;
  }
}

/** JSON for comparisons, also of integers that are too large for a number. */
export function comparableJson(value: unknown): string | undefined {
  return JSON.stringify(value, (_name, one: unknown) => (typeof one === 'bigint' ? wide(one) : one));
}

const wide = (integer: bigint) => ({ integer: String(integer) });

/** Sorts members, so that their original order does not matter. */
function sorted(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return wide(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return { members: Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)) };
}

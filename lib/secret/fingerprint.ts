import { createHmac, randomBytes } from 'node:crypto';

/** Of this process alone, so that a fingerprint says nothing anywhere else. */
const KEY = randomBytes(32);
let incomparable = 0;

/**
 * Text that is the same for equal values, and tells nothing else of them: a keyed hash. A value that JSON cannot hold is
 * equal to no other.
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

/** JSON by which values can be compared, also those with integers that are too large for a number. */
export function comparable(value: unknown): string | undefined {
  return JSON.stringify(value, (_name, one: unknown) => (typeof one === 'bigint' ? wide(one) : one));
}

const wide = (integer: bigint) => ({ integer: String(integer) });

/** Members in one order, whichever way the object was made. */
function sorted(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return wide(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return { members: Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)) };
}

import { randomUUID } from 'node:crypto';
import { endOfText, opensText } from './json-text.js';

/** An integer of fewer digits is held exactly by a number. */
const MANY_DIGITS = /\d{16}/;
/** Characters of an integer; to read longer ones takes time that grows with their square. */
const LONGEST = 4_096;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const INTEGER = /^-?\d{16,}$/;
/** Begins the texts that stand for integers meanwhile; of this process alone. */
const MARK = `integer ${randomUUID()} `;

/**
 * Reads JSON as `JSON.parse` does, but integers that a number would round (above 2^53), which become a BigInt each.
 * (Node 20 does not hand the text of a number to a reviver.)
 *
 * @throws SyntaxError, and RangeError for an integer of more than 4096 digits
 */
export function parseExactly(json: string): unknown {
  const value: unknown = JSON.parse(json);
  const marked = MANY_DIGITS.test(json) ? markIntegers(json) : undefined;
  if (marked === undefined) return value;
  return JSON.parse(marked, (_name, one: unknown) =>
    typeof one === 'string' && one.startsWith(MARK) ? BigInt(one.slice(MARK.length)) : one,
  );
}

/** Well-formed JSON with a marked text in the place of each such integer; `undefined` where there is none. */
function markIntegers(json: string): string | undefined {
  let marked = '';
  let copied = 0;
  for (let index = 0; index < json.length; index++) {
    const code = json.charCodeAt(index);
    if (opensText(code)) index = endOfText(json, index);
    else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      NUMBER.lastIndex = index;
      const [literal = ''] = NUMBER.exec(json) ?? [];
      if (literal.length > LONGEST) throw new RangeError('an integer of too many digits');
      if (INTEGER.test(literal) && !Number.isSafeInteger(Number(literal))) {
        marked += `${json.slice(copied, index)}"${MARK}${literal}"`;
        copied = index + literal.length;
      }
      index += literal.length - 1;
    }
  }
  return copied === 0 ? undefined : marked + json.slice(copied);
}

import { randomUUID } from 'node:crypto';
import { endOfText, opensText } from './json-text.js';

/** A number represents each integer of fewer digits exactly. */
const MANY_DIGITS = /\d{16}/;
/** Limit of an integer in characters; the time to parse grows with the square of the length. */
const LONGEST = 4_096;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const INTEGER = /^-?\d{16,}$/;
/** Prefix of the strings that temporarily replace integers; random for each process. */
const MARK = `integer ${randomUUID()} `;

/**
 * Parses JSON like `JSON.parse`, except that integers which a number would round (above 2^53) become a BigInt. (Node 20
 * does not pass the source text of a number to a reviver.)
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

/** Valid JSON with a marked string in place of each such integer; `undefined` if there is none. */
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

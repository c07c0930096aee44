import { printable } from '../errors/printable.js';

const LONGEST = 300;
const MOST = 10;
/** Shorter strings occur in any warning by chance. */
const SHORTEST_SECRET = 6;
/**
 * Limit of strings of an answer to search for in its warnings. Answers with more contain lists of names, or are
 * hostile.
 */
const MOST_SECRETS = 1_000;
const NOT_SHOWN =
  'The server sent a warning, which is not shown: the answer has too many values to remove from it.';

/**
 * Makes the warnings of an answer safe for a log. Warnings of the engines of OpenBao and Vault contain names, durations
 * and error texts; the servers write them to their audit logs in clear. An engine of another vendor may put any value
 * into them, so the secrets of the same answer are removed. The work is bounded for an answer of any size.
 *
 * @param warnings the member of the answer
 * @param secrets the values of the answer that no log may show
 */
export function readWarnings(warnings: unknown, ...secrets: unknown[]): readonly string[] {
  if (!Array.isArray(warnings) || warnings.length === 0) return [];
  const told = warnings
    .slice(0, 10 * MOST)
    .filter((warning): warning is string => typeof warning === 'string' && warning !== '')
    .slice(0, MOST);
  if (told.length === 0) return [];
  const texts = textsIn(secrets, MOST_SECRETS);
  if (texts === undefined) return [NOT_SHOWN];
  return told.map((warning) => printable(redacted(warning, texts), LONGEST + 1).trim());
}

/**
 * The first characters of a warning, without secrets. Of a longer secret only the beginning is searched for, as the
 * warning is cut before its end.
 */
function redacted(warning: string, secrets: ReadonlySet<string>): string {
  const start = warning.slice(0, 2 * LONGEST);
  const hidden = new Uint8Array(start.length);
  for (const secret of secrets) {
    const beginning = secret.slice(0, LONGEST);
    for (let at = start.indexOf(beginning); at >= 0; at = start.indexOf(beginning, at + 1))
      hidden.fill(1, at, at + secret.length);
  }
  let text = '';
  for (let index = 0; index < Math.min(start.length, LONGEST); index++) {
    if (!hidden[index]) text += start[index];
    else if (!hidden[index - 1]) text += '[redacted]';
  }
  return start.length > LONGEST ? `${text}…` : text;
}

/** All strings in a value that are long enough to be secret; `undefined` if there are more than `most`. */
function textsIn(value: unknown, most: number): ReadonlySet<string> | undefined {
  const texts = new Set<string>();
  const open = [value];
  // Numbers and short strings count, too: visiting millions of them in a hostile answer takes time.
  for (let looked = 0; open.length > 0; looked++) {
    if (texts.size > most || looked > 100 * most) return undefined;
    const next = open.pop();
    if (typeof next === 'string') {
      if (next.length >= SHORTEST_SECRET) texts.add(next);
    } else if (typeof next === 'object' && next !== null) {
      const members = Object.values(next);
      if (members.length > 100 * most) return undefined;
      for (const member of members) open.push(member);
    }
  }
  return texts;
}

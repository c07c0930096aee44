import { printable } from '../errors/printable.js';

const LONGEST = 300;
const MOST = 10;
/** Shorter texts occur in any warning by chance. */
const SHORTEST_SECRET = 6;
/** Texts of one answer that are looked for in its warnings. Answers with more hold lists of names, or are hostile. */
const MOST_SECRETS = 1_000;
const NOT_SHOWN =
  'The server warns of something, which is not shown: the answer holds too much that could be in it.';

/**
 * The warnings of an answer, fit for a log. Those of the engines that come with OpenBao and Vault hold names, durations
 * and the words of errors; the servers write them to their audit logs in clear. An engine of another vendor may put
 * anything into them, so that what the same answer hands out is taken out again. The work is bounded, however large the
 * answer is.
 *
 * @param warnings as they are in the answer
 * @param secrets anything of the answer that no log may show
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
 * The first characters of a warning, without what is secret. Of a secret that is longer only the beginning is looked for,
 * as the warning is cut before it could end.
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

/** All texts in a value, long enough to be secret; `undefined` where there are more than `most`. */
function textsIn(value: unknown, most: number): ReadonlySet<string> | undefined {
  const texts = new Set<string>();
  const open = [value];
  // Numbers and short texts cost nothing, but they are looked at, and hostile answers hold millions.
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

/** Where a server warns of something else each time, the first so many are enough. */
const MOST_TEXTS = 100;

/** Tells each text once. */
export function tellOnce(tell: (text: string) => void): (text: string) => void {
  const told = new Set<string>();
  return (text) => {
    if (told.has(text) || told.size >= MOST_TEXTS) return;
    told.add(text);
    tell(text);
  };
}

import { charactersOf, endOf, startOf, widthOf } from './text-width.js';

/** The number of characters that are kept before the first difference of two names. */
const BEFORE_DIFFERENCE = 2;

/**
 * Shortens names to `width` columns, each to another text: first in the middle; names that would look the same from
 * their first difference on; and if that is not enough, with a number.
 */
export function distinctNames(names: readonly string[], width: number): Map<string, string> {
  const shown = new Map<string, string>();
  for (const name of new Set(names)) shown.set(name, inTheMiddle(name, width));
  for (const alike of collisions(shown)) {
    const common = commonStart(alike);
    for (const name of alike) shown.set(name, fromDifference(name, common, width));
  }
  for (const alike of collisions(shown))
    alike.sort().forEach((name, index) => shown.set(name, numbered(name, index + 1, width)));
  return shown;
}

/** Groups of names that look the same. */
function collisions(shown: ReadonlyMap<string, string>): string[][] {
  const byText = new Map<string, string[]>();
  for (const [name, text] of shown) byText.set(text, [...(byText.get(text) ?? []), name]);
  return [...byText.values()].filter(({ length }) => length > 1);
}

/** The end of a path says more than its start. */
function inTheMiddle(name: string, width: number): string {
  if (widthOf(name) <= width) return name;
  const characters = charactersOf(name);
  const start = startOf(characters, Math.ceil((width - 1) / 3));
  return `${start}…${endOf(characters, width - 1 - widthOf(start))}`;
}

/** The number of characters at the start that all names have in common. */
function commonStart(names: readonly string[]): number {
  const [first = [], ...others] = names.map(charactersOf);
  const differs = first.findIndex((character, at) => others.some((other) => other[at] !== character));
  return differs === -1 ? first.length : differs;
}

function fromDifference(name: string, common: number, width: number): string {
  const from = Math.max(1, common - BEFORE_DIFFERENCE);
  const rest = charactersOf(name).slice(from);
  if (widthOf(rest.join('')) <= width - 1) return `…${endOf(charactersOf(name), width - 1)}`;
  return `…${startOf(rest, width - 2)}…`;
}

function numbered(name: string, number: number, width: number): string {
  const mark = `~${number}`;
  return inTheMiddle(name, Math.max(1, width - mark.length)) + mark;
}

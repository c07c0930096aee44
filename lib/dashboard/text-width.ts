const SEGMENTER = new Intl.Segmenter();
/** Two columns wide: the scripts of East Asia, and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f1e6}-\u{1f1ff}\u{20000}-\u{3fffd}]|\ufe0f|\p{Emoji_Presentation}/u;
/** No column: a mark or a joiner without a character before it. */
const NONE = /^[\p{Mark}\p{Cf}\p{Cc}]+$/u;

/** Latin letters, and the characters of bars and lines: one column each. They need no search for joined characters. */
const SIMPLE = /^[ -~\u2500-\u259f…]*$/;

const columnsOf = (character: string): number => (NONE.test(character) ? 0 : WIDE.test(character) ? 2 : 1);

/** The characters of a text as a reader sees them. */
export const charactersOf = (text: string): string[] =>
  SIMPLE.test(text) ? text.split('') : Array.from(SEGMENTER.segment(text), ({ segment }) => segment);

/** The number of terminal columns of a text without colours. */
export function widthOf(text: string): number {
  if (SIMPLE.test(text)) return text.length;
  return charactersOf(text).reduce((sum, character) => sum + columnsOf(character), 0);
}

/** The beginning of a text, in at most `width` columns. */
export function startOf(characters: readonly string[], width: number): string {
  let left = width;
  const end = characters.findIndex((character) => (left -= columnsOf(character)) < 0);
  return characters.slice(0, end === -1 ? undefined : end).join('');
}

/** The end of a text, in at most `width` columns. */
export function endOf(characters: readonly string[], width: number): string {
  let left = width;
  const before = characters.findLastIndex((character) => (left -= columnsOf(character)) < 0);
  return characters.slice(before + 1).join('');
}

/** Shortens a text at its end. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  return width < 1 ? '' : `${startOf(charactersOf(text), width - 1)}…`;
}

/** Fills a text up to `width` columns. */
export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Whether a JSON string begins at a position outside of other strings. */
export const opensText = (code: number) => code === QUOTE;

/** Index of the quotation mark that ends the string at `start`; past the end of the JSON if there is none. */
export function endOfText(json: string, start: number): number {
  let index = start + 1;
  for (; index < json.length; index++) {
    const code = json.charCodeAt(index);
    if (code === QUOTE) break;
    if (code === BACKSLASH) index++;
  }
  return index;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Whether a text begins here, where no other one is open. */
export const opensText = (code: number) => code === QUOTE;

/** Index of the quotation mark that ends the text which begins at `start`; past the end of the JSON where none does. */
export function endOfText(json: string, start: number): number {
  let index = start + 1;
  for (; index < json.length; index++) {
    const code = json.charCodeAt(index);
    if (code === QUOTE) break;
    if (code === BACKSLASH) index++;
  }
  return index;
}

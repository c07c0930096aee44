export interface Block {
  page: string;
  /** The language of the fence: `sh`, `sql`, `ts`. */
  language: string;
  /** The rest of the line after the language. */
  info: string;
  text: string;
  /** The line of the page on which the text begins. */
  line: number;
  /** The file that the first line names, as `// src/main.ts`. */
  file: string | undefined;
}

export const PAGES: readonly string[];
export function read(path: string): string;
export function filesBelow(folder: string, name: RegExp): string[];
export function blocksOf(page: string): Block[];

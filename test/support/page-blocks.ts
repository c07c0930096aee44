import { readFileSync } from 'node:fs';

export interface Block {
  /** As the fence names it: `sh`, `sql`, `ts`. */
  language: string;
  text: string;
  /** Of its first line in the page, for what fails. */
  line: number;
}

/** The fenced blocks of a page of this package, in order, as a reader would copy them. */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8');
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map((found) => ({
    language: found[1] as string,
    text: found[2] as string,
    line: text.slice(0, found.index).split('\n').length + 1,
  }));
}

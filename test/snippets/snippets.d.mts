import type { Block } from '../support/pages.mjs';

export function snippets(): Block[];
/** Path of the module of a snippet. */
export function pathOf(snippet: Pick<Block, 'page' | 'line'>): string;
export function writeSnippets(): number;
export function asPages(output: string): string;

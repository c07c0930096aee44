import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A file of the repository, as text. */
export const read = (path) => readFileSync(join(root, path), 'utf8');

/** The files below a folder whose names match, without those of packages. */
export const filesBelow = (folder, name) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => name.test(path) && !path.includes('node_modules'))
    .map((path) => `${folder}/${path.split(sep).join('/')}`)
    .sort();

/** The pages directly in a folder. */
const pagesIn = (folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => (folder === '.' ? name : `${folder}/${name}`));

/** Not recursive: node_modules of a sample that has run links to this repository, and so to itself. */
const samples = readdirSync(join(root, 'sample')).map((name) => `sample/${name}`);

/** All pages of the repository. */
export const PAGES = [
  ...['.', '.github', 'bench', 'test', ...samples].flatMap(pagesIn),
  ...filesBelow('docs', /\.md$/),
];

/** The fenced blocks of a page, in order, as a reader would copy them. */
export function blocksOf(page) {
  const text = read(page);
  return [...text.matchAll(/^( *)```(\w+)(?: +([^\n]*))?\n([\s\S]*?)^\1```$/gm)].map((found) => {
    const [, indent, language, info = '', body] = found;
    return {
      page,
      language,
      info,
      text: indent ? body.replaceAll(new RegExp(`^${indent}`, 'gm'), '') : body,
      line: text.slice(0, found.index).split('\n').length + 1,
      file: /^\/\/ (\S+?\.m?[tj]s)\b/.exec(body)?.[1],
    };
  });
}

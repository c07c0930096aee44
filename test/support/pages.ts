import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A file of the repository, as text. */
export const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The files below a folder whose names match, without those of packages. */
export const filesBelow = (folder: string, name: RegExp): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => name.test(path) && !path.includes('node_modules'))
    .map((path) => `${folder}/${path.split(sep).join('/')}`)
    .sort();

/** The pages directly in a folder. */
const pagesIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => (folder === '.' ? name : `${folder}/${name}`));

/**
 * All pages of the repository. Not recursive for samples: node_modules of one that has run links to this repository, and
 * so to itself.
 */
export const PAGES: readonly string[] = [
  ...[
    '.',
    '.github',
    'bench',
    'test',
    ...readdirSync(join(root, 'sample')).map((name) => `sample/${name}`),
  ].flatMap(pagesIn),
  ...filesBelow('docs', /\.md$/),
];

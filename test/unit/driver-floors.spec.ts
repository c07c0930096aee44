import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { FLOORS } from '../../lib/integrations/driver/floors.js';

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
const pages = 'docs/databases';

/** Page, subpath, library and floors of each row. */
const rows = [
  ...read(`${pages}/README.md`).matchAll(
    /^\| \[.+?\]\((.+?)\) +\| `nestjs-vault\/(.+?)` +\| `(.+?)` +\| (.+?) +\|$/gm,
  ),
].map(([, page = '', subpath = '', name = '', floors = '']) => ({
  page,
  subpath,
  name,
  floors: floors.split(', '),
}));

it('the table of oldest versions equals that of the code', () => {
  expect(Object.fromEntries(rows.map(({ name, floors }) => [name, floors]))).toEqual(FLOORS);
});

it('the pages name the same versions', () => {
  for (const { page, name, floors } of rows) {
    const [introduction = ''] = read(`${pages}/${page}`).split('```');
    for (const floor of floors) {
      // 5.0.0 is written as 5, too.
      const short = floor.replace(/(\.0)+$/, '');
      expect(introduction, `${page}: ${name} ${floor}`).toMatch(
        new RegExp(`(?<![\\d.])${short.replaceAll('.', '\\.')}(\\.0)*(?!\\.?\\d)`),
      );
    }
  }
});

it('the package manager refuses no version, as an application may use an old driver without this package', () => {
  const { peerDependencies, peerDependenciesMeta, exports } = JSON.parse(read('package.json')) as {
    peerDependencies: Record<string, string>;
    peerDependenciesMeta: Record<string, { optional: boolean }>;
    exports: Record<string, unknown>;
  };
  for (const { name, subpath } of rows) {
    expect(peerDependencies, name).toMatchObject({ [name]: '*' });
    expect(peerDependenciesMeta, name).toMatchObject({ [name]: { optional: true } });
    expect(Object.keys(exports)).toContain(`./${subpath}`);
  }
});

it('the page of clouds names the oldest versions of their packages; the package manager refuses none', () => {
  const { peerDependencies } = JSON.parse(read('package.json')) as {
    peerDependencies: Record<string, string>;
  };
  const named = [...read('docs/clouds-and-agents.md').matchAll(/`([@a-z0-9/-]+)`\s(\d+\.\d+\.\d+)/g)].map(
    ([, name = '', floor = '']) => [name, floor],
  );
  expect(Object.fromEntries(named)).toEqual(JSON.parse(read('scripts/cloud-floors.json')));
  for (const [name = ''] of named) expect(peerDependencies[name], name).toBe('*');
});

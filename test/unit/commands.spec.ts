import { expect, it } from 'vitest';
import { filesBelow, PAGES, read } from '../support/pages.mjs';

const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

/** Names that every npm project has; all others are a kind and a subject. */
const USUAL = ['prepack', 'start', 'test', 'bench', 'build', 'lint', 'typecheck', 'format', 'format:check'];
/** Of the application that a reader has, made by `nest new`. */
const READERS = ['start:dev', 'test:e2e'];
const KIND = /^(?:test|bench|docs|api):[a-z-]+$/;

it('the name of a command is a usual one, or a kind and a subject', () => {
  const names = Object.keys(scripts);
  expect(names.filter((name) => !USUAL.includes(name) && !KIND.test(name))).toEqual([]);
});

it('test/README.md lists every command that has a kind', () => {
  const page = read('test/README.md');
  const kinds = Object.keys(scripts).filter((name) => name === 'bench' || KIND.test(name));
  expect(kinds.filter((name) => !page.includes(`\`npm run ${name}\``))).toEqual([]);
});

it('the file of a command names it in its first line', () => {
  const wrong = Object.entries(scripts).filter(([name, command]) => {
    const [, file] = /^node (\S+)/.exec(command) ?? [];
    if (!file || USUAL.includes(name)) return false;
    return !read(file).split('\n', 1)[0]?.includes(`npm run ${name}`);
  });
  expect(wrong).toEqual([]);
});

it('pages, comments and messages name commands that exist', () => {
  const sources = ['lib', 'test', 'scripts', 'bench'].flatMap((folder) =>
    filesBelow(folder, /\.(?:c?ts|mjs|mts|yml)$/),
  );
  const files = [...PAGES, ...sources, '.ci/run', 'vitest.config.ts'];
  const unknown = files.flatMap((file) =>
    [...read(file).matchAll(/npm run (?:-s |--silent )?([a-z][a-z0-9-]*(?::[a-z0-9-]+)?)/g)]
      .map(([, name = '']) => name)
      .filter((name) => !(name in scripts) && !READERS.includes(name))
      .map((name) => `${file}: ${name}`),
  );
  expect(files.length).toBeGreaterThan(500);
  expect(unknown).toEqual([]);
});

// The name is free in the registry: until the first release, a package of that name is a stranger's.
it('pages that install the package say that no registry has it', () => {
  const pages = PAGES.filter((page) => read(page).includes('npm install nestjs-vault'));
  const note =
    /No registry has the package yet: type the path of your \[tarball\]\((?:\.\.\/)+README\.md#install\) in place of `nestjs-vault`\./;
  expect(pages.length).toBeGreaterThan(15);
  expect(
    pages.filter((page) => page !== 'README.md' && !note.test(read(page).replaceAll(/\s+/g, ' '))),
  ).toEqual([]);
});

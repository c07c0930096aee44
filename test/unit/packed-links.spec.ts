import { existsSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { PAGES, read } from '../support/pages.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { files } = JSON.parse(read('package.json')) as { files: string[] };

/** Links to other sites: each was checked by hand. */
const KNOWN = new Set([
  'https://developer.hashicorp.com/vault/docs/enterprise/lease-count-quotas',
  'https://developer.hashicorp.com/vault/tutorials/enterprise/performance-standbys',
  'https://github.com/aws/aws-sdk-js-v3',
  'https://github.com/jwalton/node-amqp-connection-manager',
  'https://github.com/redis/ioredis',
  'https://github.com/redis/node-redis',
  'https://learn.hashicorp.com/tutorials/vault/batch-tokens',
  'https://openbao.org/api-docs/secret/databases/postgresql/',
  'https://openbao.org/docs/rfcs/standby-nodes-handle-read-requests',
  'https://sequelize.org/docs/v6/other-topics/aws-lambda/',
  'https://sidorares.github.io/node-mysql2/',
  'https://www.npmjs.com/package/mongodb',
  'https://creativecommons.org/licenses/by/4.0/',
  'https://keepachangelog.com/en/1.1.0/',
  'https://semver.org/spec/v2.0.0.html',
  'https://www.contributor-covenant.org/version/2/1/code_of_conduct/',
  'https://www.conventionalcommits.org/en/v1.0.0/',
]);

const isPacked = (path: string) => files.some((name) => path === name || path.startsWith(`${name}/`));

/** The text without code, in which brackets have another meaning. */
const prose = (page: string) =>
  read(page)
    .replaceAll(/^( *)(```|~~~).*?^\1\2/gms, '')
    .replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()<>]/g, ''));

/** Links of all forms: inline, by reference, and HTML. */
function linksOf(text: string): string[] {
  const inline = text.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g);
  const reference = text.matchAll(/^ *\[[^\]]+\]: *<?([^\s>]+)/gm);
  const html = text.matchAll(/<(?:a|img)\b[^>]*\b(?:href|src)="([^"]+)"/g);
  const bare = text.matchAll(/<(https?:[^>\s]+)>/g);
  return [...inline, ...reference, ...html, ...bare].map(([, target]) => target as string);
}

/** The anchors that GitHub and npm give to the headings of a page. */
function anchorsOf(page: string): Set<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, heading = ''] of read(page)
    .replaceAll(/^(```|~~~).*?^\1/gms, '')
    .matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = text.replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return anchors;
}

/** The reason why a link is dead for a reader of the package, or of the repository if the page is not packed. */
function fault(page: string, link: string): string | undefined {
  if (/^[a-z]+:/i.test(link)) return KNOWN.has(link) ? undefined : 'an address that the list does not have';
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : posix.join(dirname(page), path);
  if (isPacked(page) && !isPacked(target)) return 'not in the package';
  if (!existsSync(join(root, target))) return 'not there';
  if (anchor === undefined && !target.endsWith('.md') && !isPacked(page)) return undefined;
  const index = statSync(join(root, target)).isDirectory() ? posix.join(target, 'README.md') : target;
  if (!existsSync(join(root, index))) return 'a folder without a page';
  return anchor === undefined || anchorsOf(index).has(anchor) ? undefined : 'no such heading';
}

it('every link of a page has a target', () => {
  const links = PAGES.flatMap((page) => linksOf(prose(page)).map((link) => ({ page, link })));
  expect(PAGES).toEqual(expect.arrayContaining(['README.md', 'SECURITY.md', 'sample/02-typeorm/README.md']));
  expect(links.length).toBeGreaterThan(80);
  const dead = links
    .map(({ page, link }) => ({ page, link, why: fault(page, link) }))
    .filter(({ why }) => why);
  expect(dead).toEqual([]);
});

it('every test that a promise names is there', () => {
  const paths = [...read('SECURITY.md').matchAll(/`(test\/[\w./-]+)`/g)].map(([, path = '']) => path);
  expect(paths.length).toBeGreaterThan(20);
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

it('finds each kind of dead link', () => {
  const faults = (text: string) => linksOf(text).map((link) => fault('docs/errors.md', link));
  expect(
    faults('[a](options.md) ![b](internals/figures/over-time.svg) [c](#errors) [d](../README.md "t")'),
  ).toEqual([undefined, undefined, undefined, undefined]);
  expect(faults('[a](../sample/01-rotating-database/README.md) [b](../lib)')).toEqual([
    'not in the package',
    'not in the package',
  ]);
  expect(faults('[a](nowhere.md) [b](options.md#nowhere) [c](internals/figures)')).toEqual([
    'not there',
    'no such heading',
    'a folder without a page',
  ]);
  expect(faults('<https://nowhere.example> <img src="a.svg">\n[x]: nowhere.md')).toEqual([
    'not there',
    'not there',
    'an address that the list does not have',
  ]);
});

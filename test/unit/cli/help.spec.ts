import { expect, it } from 'vitest';
import { COMMANDS } from '../../../lib/cli/commands.js';
import { runCli } from '../../../lib/cli/run-cli.js';
import { blocksOf } from '../../support/pages.mjs';

const helps = [[], ...COMMANDS.map(({ name }) => [name])].map((args) => [...args, '--help']);

it.each(helps)('docs/command-line.md shows nestjs-vault %s %s', async (...args) => {
  let out = '';
  const surroundings = { env: {}, folder: '.', print: (line: string) => (out += `${line}\n`), say: () => {} };
  expect(await runCli(args, COMMANDS, surroundings)).toBe(0);
  const line = `$ nestjs-vault ${args.join(' ')}\n`;
  const block = blocksOf('docs/command-line.md').find(({ text }) => text.startsWith(line));
  expect(block?.text, `The page has no block that begins with: ${line}`).toBe(line + out);
});

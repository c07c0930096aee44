// npm run conformance: tries every rule on the simulated server (both dialects) and on a real one, prints the table of
// rules and servers, and writes it to docs/conformance.md.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from './ensure-installed.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
await ensureInstalled();
const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-conformance-'));
const output = join(folder, 'rules.json');
const { status } = spawnSync(
  process.execPath,
  [join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'test/conformance'],
  { cwd: root, stdio: 'inherit', env: { ...process.env, CONFORMANCE_TABLE: output } },
);
const { worlds, rules } = JSON.parse(readFileSync(output, 'utf8'));
rmSync(folder, { recursive: true, force: true });

const MARK = { passed: '✓', failed: '✗', skipped: '–' };
const rows = rules.map(({ id, title, results, note }) => [
  id,
  note ? `${title} ${note}`.trim() : title,
  ...worlds.map((world) => MARK[results[world]] ?? ''),
]);
const head = ['Rule', 'What is required', ...worlds];
const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
const counts = worlds.map((world) => {
  const ids = new Set(rules.filter(({ results }) => results[world] === 'passed').map(({ id }) => id));
  return `${world} ${ids.size}`;
});
const text = `# Conformance

Made by \`npm run conformance\`; do not edit. Rules by their ids in the order of the life of a secret: A deadlines, B
renewing, C errors, D tokens, E rotation, F without a lease, G requests, H login, I clusters, J shutdown, K what is told.

Rules tried and kept: ${counts.join(', ')}; of 98, ${rules.filter(({ kind }) => kind === 'elsewhere').length} are shown by tests of another kind, and
${rules.filter(({ kind }) => kind === 'pending').length} are pending.

${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}
`;
const prettier = await import('prettier');
const options = await prettier.resolveConfig(join(root, 'docs/conformance.md'));
writeFileSync(
  join(root, 'docs/conformance.md'),
  await prettier.format(text, { ...options, parser: 'markdown' }),
);
for (const [id, title, ...marks] of rows)
  console.log(`${id.padEnd(4)} ${marks.map((mark) => (mark || ' ').padEnd(3)).join('')} ${title}`);
console.log(
  `\n${worlds.join(', ')}: rules kept ${counts.join(', ')}. The table stands in docs/conformance.md.`,
);
process.exitCode = status ?? 1;

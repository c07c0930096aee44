// npm run conformance: tries every rule on the simulated server (both dialects) and on a real one, runs the tests of other
// kinds that show a rule, prints the table of rules and servers, and writes it to docs/conformance.md.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from './ensure-installed.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
await ensureInstalled();

/** Runs tests, and returns what the reporter of the table made of them. */
function run(...args) {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-conformance-'));
  const output = join(folder, 'rules.json');
  const { status } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...args],
    { cwd: root, stdio: 'inherit', env: { ...process.env, CONFORMANCE_TABLE: output } },
  );
  const result = JSON.parse(readFileSync(output, 'utf8'));
  rmSync(folder, { recursive: true, force: true });
  if (status !== 0) process.exitCode = 1;
  return result;
}

const { worlds, rules: rows, elsewhere, pending } = run('test/conformance');
const named = ['test/unit', 'test/integration']
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((path) => join(folder, path)))
  .filter((path) => path.endsWith('.spec.ts'))
  .filter((path) => /['"`][A-K]\d+: /.test(readFileSync(join(root, path), 'utf8')));
const { shown } = run(...named, '-t', String.raw`(^|\s)[A-K]\d+: `);

/** A rule counts as shown only where its tests were there, ran, and passed. */
function rowOfElsewhere(id) {
  const tests = shown.filter((test) => test.id === id);
  const passed = tests.filter(({ state }) => state === 'passed');
  const kept = passed.length > 0 && tests.every(({ state }) => state !== 'failed');
  const files = [...new Set((kept ? passed : tests).map(({ file }) => file))].join(', ');
  const note = kept ? `Shown by ${files}.` : `**Not shown** by ${files || 'any test'}.`;
  return { id, title: `${tests[0]?.title ?? ''} – ${note}`, results: {}, kept, missing: tests.length === 0 };
}

const others = elsewhere.map(rowOfElsewhere);
// What failed has been told by the run; what was skipped needs something that is not here.
if (others.some(({ missing }) => missing)) process.exitCode = 1;
const later = Object.entries(pending).map(([id, why]) => ({
  id,
  title: `**Pending**: ${why}.`,
  results: {},
}));
const order = ({ id }) => id.charCodeAt(0) * 100 + Number(id.slice(1));
const rules = [...rows, ...others, ...later].toSorted((a, b) => order(a) - order(b));

const MARK = { passed: '✓', canned: '(✓)', failed: '✗', skipped: '–' };
const cells = rules.map(({ id, title, results }) => [
  id,
  title,
  ...worlds.map((world) => MARK[results[world]] ?? ''),
]);
const head = ['Rule', 'What is required', ...worlds];
const line = (texts) => `| ${texts.map((text) => String(text).replaceAll('|', '\\|')).join(' | ')} |`;
const counts = worlds.map((world) => {
  const distinct = (...states) =>
    new Set(rules.filter(({ results }) => states.includes(results[world])).map(({ id }) => id)).size;
  const canned = distinct('passed', 'canned') - distinct('passed');
  return `${world} ${distinct('passed')}${canned ? ` (and ${canned} against answers that were typed in)` : ''}`;
});
const text = `# Conformance

Made by \`npm run conformance\`; do not edit. Rules by their ids in the order of the life of a secret: A deadlines, B
renewing, C errors, D tokens, E rotation, F without a lease, G requests, H login, I clusters, J shutdown, K what is told.

Rules tried and kept: ${counts.join(', ')}; of 98, ${others.filter(({ kept }) => kept).length} are shown by tests of another kind, and
${later.length} are pending. A mark in brackets: kept, while some answers were typed in for those of the server.

${[line(head), line(head.map(() => '---')), ...cells.map(line)].join('\n')}
`;
const prettier = await import('prettier');
const options = await prettier.resolveConfig(join(root, 'docs/conformance.md'));
writeFileSync(
  join(root, 'docs/conformance.md'),
  await prettier.format(text, { ...options, parser: 'markdown' }),
);
for (const [id, title, ...marks] of cells)
  console.log(`${id.padEnd(4)} ${marks.map((mark) => (mark || ' ').padEnd(4)).join('')} ${title}`);
console.log(
  `\n${worlds.join(', ')}: rules kept ${counts.join(', ')}. The table stands in docs/conformance.md.`,
);

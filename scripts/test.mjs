// npm test: all checks before a change lands, from a fresh clone. Imports nothing that must be installed first. The
// last line is `N passed, N failed, N skipped`.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, ensurePrismaClient } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const total = { passed: 0, failed: 0, skipped: 0 };
const bin = (name) => join(root, 'node_modules', '.bin', process.platform === 'win32' ? `${name}.cmd` : name);

/** The command of a step that runs a file with this Node. */
const node = (...args) => [process.execPath, ...args];

/**
 * Runs one step. What it prints is shown at its end, so that steps can run side by side, or at once (`live`).
 *
 * @param counts it counts as one that passed or failed; else its caller adds what it counted
 */
async function step(name, [command, ...args], { live = false, counts = true, env = {} } = {}) {
  const start = performance.now();
  if (live) console.log(`\n── ${name}`);
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: live ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  const pieces = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => pieces.push(chunk));
  child.on('error', (error) => pieces.push(Buffer.from(String(error))));
  const ok = await new Promise((resolve) => child.on('close', (status) => resolve(status === 0)));
  const output = Buffer.concat(pieces).toString();
  if (!live) process.stdout.write(`\n── ${name}\n${output}`);
  if (counts) total[ok ? 'passed' : 'failed']++;
  console.log(`── ${name}: ${ok ? 'ok' : 'FAILED'} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  return { ok, output };
}

function add(counts) {
  for (const key of Object.keys(total)) total[key] += Number(counts[key] ?? 0);
}

await ensureInstalled();
// The typecheck needs it, though its own tests are among those of the drivers.
await ensurePrismaClient();
// Checked once here, as each worker would report it.
const unavailable = await ensureOpenBao().then(
  () => undefined,
  (error) => error.message,
);
if (unavailable) console.log(`OpenBao is not available, so tests that need it are skipped: ${unavailable}`);

async function checkSources() {
  await step('lint', [bin('oxlint')]);
  await step('types', node('scripts/typecheck.mjs'));
}

async function checkFormat() {
  // Looks again only at what has changed since the last run.
  const cache = ['--cache', '--cache-strategy', 'content', '--cache-location', '.cache/prettier'];
  await step('format', [bin('prettier'), '--check', '--log-level', 'warn', ...cache, '.']);
}

async function checkPackage() {
  const api = step('public types', node('scripts/api.mjs'));
  const { ok, output } = await step('packed tarball', node('test/package/run.mjs'), { counts: false });
  const closing = /(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(output);
  if (closing) add({ passed: closing[1], failed: closing[2], skipped: closing[3] });
  if (!ok && !(Number(closing?.[2]) > 0)) total.failed++;
  await api;
}

// First, as it removes files that the linter reads. Then side by side: the package waits for a registry. The tests come
// alone, as their servers have TTLs of seconds.
const { ok: built } = await step('both builds', node('scripts/build.mjs'));
await Promise.all([checkSources(), checkFormat(), built && checkPackage()]);

const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-test-'));
try {
  const counts = join(folder, 'counts.json');
  const { ok } = await step('unit, e2e, integration', [bin('vitest'), 'run', ...process.argv.slice(2)], {
    live: true,
    counts: false,
    env: { VITEST_COUNTS: counts, ...(unavailable && { OPENBAO_UNAVAILABLE: unavailable }) },
  });
  const seen = JSON.parse(readFileSync(counts, 'utf8'));
  add(seen);
  // An error outside of any test fails the run, too.
  if (!ok && seen.failed === 0) total.failed++;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 ? 1 : 0;

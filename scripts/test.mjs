// npm test: all checks before a change lands, from a fresh clone. Imports nothing that must be installed first. The last
// line is `N passed, N failed, N skipped`.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, ensurePrismaClient } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const total = { passed: 0, failed: 0, skipped: 0 };
const bin = (name) => join(root, 'node_modules', '.bin', process.platform === 'win32' ? `${name}.cmd` : name);

/** Runs one step; with `capture` returns its output, too. */
function step(name, command, args, { capture = false, counts = true, env = {} } = {}) {
  const start = performance.now();
  console.log(`\n── ${name}`);
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    stdio: capture ? ['ignore', 'pipe', 'inherit'] : ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (capture) process.stdout.write(result.stdout ?? '');
  const ok = result.status === 0;
  if (counts) total[ok ? 'passed' : 'failed']++;
  console.log(`── ${name}: ${ok ? 'ok' : 'FAILED'} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  return { ok, stdout: result.stdout ?? '' };
}

/** Runs steps that only use the CPU side by side, and prints the output of each as a whole. */
function sideBySide(...steps) {
  const start = performance.now();
  return Promise.all(
    steps.map(([name, command, ...args]) => {
      const child = spawn(command, args, {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        shell: process.platform === 'win32',
      });
      const output = [];
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(chunk));
      return new Promise((resolve) => {
        child.on('error', (error) => output.push(Buffer.from(String(error))));
        child.on('close', (status) => {
          const ok = status === 0;
          total[ok ? 'passed' : 'failed']++;
          process.stdout.write(`\n── ${name}\n${Buffer.concat(output).toString()}`);
          console.log(
            `── ${name}: ${ok ? 'ok' : 'FAILED'} (${((performance.now() - start) / 1000).toFixed(1)} s)`,
          );
          resolve(ok);
        });
      });
    }),
  );
}

function add(counts) {
  for (const key of Object.keys(total)) total[key] += Number(counts[key] ?? 0);
}

await ensureInstalled();
// The typecheck needs it, though its own tests are among those of the drivers.
await ensurePrismaClient();
// Checked once here, as each worker would report it.
const unavailable = await ensureOpenBao({ log: (line) => console.log(line) }).then(
  () => undefined,
  (error) => error.message,
);
if (unavailable) console.log(`OpenBao is not available, so tests that need it are skipped: ${unavailable}`);

step('lint', bin('oxlint'), ['--type-aware', '--deny-warnings', 'lib', 'test', 'sample', 'bench', 'scripts']);
const [, , built] = await sideBySide(
  ['format', bin('prettier'), '--check', '--log-level', 'warn', '.'],
  ['types', bin('tsc'), '-p', 'tsconfig.json'],
  ['both builds', process.execPath, 'scripts/build.mjs'],
);

const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-test-'));
try {
  const counts = join(folder, 'counts.json');
  const { ok } = step('unit, e2e, integration', bin('vitest'), ['run', ...process.argv.slice(2)], {
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
if (built) {
  const { ok, stdout } = step('packed tarball', process.execPath, ['test/package/run.mjs'], {
    capture: true,
    counts: false,
  });
  const closing = /(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(stdout);
  if (closing) add({ passed: closing[1], failed: closing[2], skipped: closing[3] });
  if (!ok && !(Number(closing?.[2]) > 0)) total.failed++;
}

console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 ? 1 : 0;

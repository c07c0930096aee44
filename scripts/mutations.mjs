// npm run test:mutations: breaks one place of the library at a time, and runs the tests that should notice it. See
// --help.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureInstalled } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

/** Share of the mutations that the tests have to notice. */
const FLOOR = 0.95;
/** Milliseconds; a mutation whose tests hang is noticed, too. */
const LONGEST = 240_000;

const { values } = parseArgs({
  options: {
    list: { type: 'string', default: '' },
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'test', 'mutations');

/** The lists, flat. An entry without `tests` has those of its list; `simulated` skips the tests on real servers. */
function readLists() {
  const names = readdirSync(folder).filter((name) => name.endsWith(`${values.list}.json`));
  return names.flatMap((name) => {
    const { mutations, ...shared } = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    return mutations.map((one) => ({ ...shared, ...one }));
  });
}

/** One run may have several files: `test/unit/session test/unit/auth`. The next run comes only if all of them pass. */
const filesOf = (run) => run.split(' ');

/** Runs tests with one mutation, or with none. Returns why the run failed; undefined if it passed. */
async function failureOf(tests, { mutation, simulated = false }, scratch) {
  const report = join(scratch, `${Math.random()}.json`);
  const args = [
    'run',
    ...tests,
    '--bail=1',
    '--retry=0',
    '--maxWorkers=1',
    '--reporter=json',
    `--outputFile=${report}`,
  ];
  const child = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
    cwd: root,
    stdio: 'ignore',
    // A process group of its own: a worker that spins outlives the process that started it.
    detached: true,
    env: {
      ...process.env,
      CI: '',
      ...(mutation && { MUTATION: JSON.stringify(mutation) }),
      ...(simulated && { OPENBAO_UNAVAILABLE: 'simulated servers are enough' }),
    },
  });
  let hangs = false;
  const timer = setTimeout(() => {
    hangs = true;
    if (child.pid) process.kill(-child.pid, 'SIGKILL');
  }, LONGEST);
  const [code] = await once(child, 'close');
  clearTimeout(timer);
  if (code === 0) return undefined;
  if (hangs) return 'the tests hang';
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
    const failed = testResults.find(({ status }) => status === 'failed');
    const test = failed?.assertionResults.find(({ status }) => status === 'failed');
    const file = failed?.name.split(sep).slice(-2).join('/');
    return failed ? `${file}: ${test?.title ?? 'the file'}` : `exit code ${code}`;
  } catch {
    // Not a test that noticed something: the installation is broken, or vitest was killed.
    throw new Error(`vitest ended with ${code} and wrote no report.`);
  }
}

async function main() {
  const all = readLists();
  const text = (file) => (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '');
  const stale = all.filter(({ file, find }) => text(file).split(find).length !== 2);
  for (const { file, find } of stale) console.log(`Not found, or more than once, in ${file}:\n${find}\n`);
  if (stale.length > 0) {
    console.log(`${stale.length} of ${all.length} mutations do not fit the sources: correct test/mutations.`);
    return 1;
  }
  const tried = all.filter(({ file, note }) => `${file} ${note}`.includes(values.only));
  await ensureOpenBao();
  const scratch = mkdtempSync(join(tmpdir(), 'nestjs-vault-mutations-'));
  try {
    for (const simulated of [true, false]) {
      const some = tried.filter((one) => (one.simulated ?? false) === simulated);
      const files = some.flatMap(({ tests }) => tests.flatMap(filesOf));
      const red = some.length > 0 && (await failureOf([...new Set(files)], { simulated }, scratch));
      if (!red) continue;
      console.log(`Tests fail without a mutation: ${red}`);
      return 1;
    }
    const survivors = [];
    const waiting = [...tried];
    const work = async () => {
      for (let one = waiting.shift(); one; one = waiting.shift()) {
        let failure;
        for (const tests of one.tests)
          failure ??= await failureOf(filesOf(tests), { ...one, mutation: one }, scratch);
        if (!failure) survivors.push(one);
        console.log(
          `${failure ? 'noticed ' : 'SURVIVED'}  ${one.file}  ${one.note}  ${failure ? `(${failure})` : ''}`,
        );
      }
    };
    await Promise.all(Array.from({ length: Number(values.jobs) }, work));
    const noticed = tried.length - survivors.length;
    for (const { file, note, accepted } of survivors)
      console.log(`Not noticed: ${file}: ${note}.${accepted ? ` Accepted: ${accepted}` : ''}`);
    console.log(
      `${tried.length} mutations, ${noticed} noticed (${((100 * noticed) / tried.length).toFixed(1)} %)`,
    );
    return noticed / tried.length >= FLOOR ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (values.help) {
  console.log(`npm run test:mutations -- [--list <file in test/mutations>] [--only <part of a source file or a note>] [--jobs 1]
Breaks one place at a time (test/mutations/*.json) and runs the tests that are named there. Ends with code 1 where fewer
than ${FLOOR * 100} % are noticed, where an entry does not fit the sources, or where tests fail without a mutation.`);
} else {
  await ensureInstalled();
  process.exitCode = await main();
}

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { snippets } from '../snippets/snippets.mjs';
import { PAGES, read } from '../support/pages.mjs';

const ofPage = 'test/drivers/page-programs.spec.ts';
const ofInstalls = 'test/installs/readme.mjs';
const ofMetrics = 'test/unit/telemetry/page.spec.ts';
const ofTypeOrm = 'test/drivers/typeorm-page.spec.ts';
const ofCommandLines = 'test/installs/command-lines.mjs';

/** The test that runs each complete program of the pages; it takes all files that end in `.spec.ts` by itself. */
const RUN_BY: Record<string, string> = {
  'README.md src/main.ts': ofInstalls,
  'docs/databases/drizzle.md src/migrate.ts': ofCommandLines,
  'docs/databases/knex.md knexfile.ts': ofCommandLines,
  'docs/databases/mikro-orm.md mikro-orm.config.ts': ofCommandLines,
  'docs/databases/prisma.md prisma.config.ts': ofCommandLines,
  'docs/databases/sequelize.md config/config.js': ofCommandLines,
  'docs/databases/typeorm.md src/data-source.ts': ofCommandLines,
  'docs/databases/typeorm.md src/migrate.ts': ofTypeOrm,
  'docs/getting-started.md src/main.ts': ofPage,
  'docs/getting-started.md vault.dev.mjs': ofPage,
  'docs/local-development.md migrations.dev.mjs': ofPage,
  'docs/local-development.md vault.dev.mjs': ofInstalls,
  'docs/metrics-and-traces.md src/slow-requests.ts': ofMetrics,
  'docs/metrics-and-traces.md src/telemetry.ts': ofMetrics,
  'docs/scripts-and-jobs.md src/job.ts': ofPage,
  'docs/scripts-and-jobs.md src/worker.ts': ofPage,
};
/** Compiled only, and the reason. */
const NOT_RUN: Record<string, string> = {
  'docs/databases/typeorm.md src/main.ts': 'calls migrate.ts, and starts as the other main.ts do',
  'docs/databases/typeorm.md src/migrate-job.ts': 'only calls migrate.ts',
  'docs/metrics-and-traces.md src/instrumentation.ts': 'needs the Node SDK, some hundred packages',
  'docs/local-development.md postgres-local.mjs': 'refuses to run as root, as CI may',
};

/** Files that Node or a command line loads; a new kind of program belongs here. */
const PROGRAM =
  /(?:^|\/)(?:main|job|worker|report|telemetry|instrumentation|slow-requests|migrate|migrate-job|data-source|knexfile)\.ts$|[./]config\.[jt]s$|\.mjs$/;
const all = snippets();
const programs = [
  // A page may show two versions of a file: with a connection of its own, and for `nestjs-vault exec`.
  ...new Set(all.filter(({ file }) => file && PROGRAM.test(file)).map(({ page, file }) => `${page} ${file}`)),
];

it('no block of TypeScript or JavaScript is left out', () => {
  const fences = PAGES.flatMap((page) => read(page).match(/^ *```(?:[tj]s|typescript|javascript)\b/gm) ?? []);
  expect(all).toHaveLength(fences.length);
  expect(all.length).toBeGreaterThan(50);
});

it('each complete program of the pages is run by a test, or has a reason', () => {
  expect(programs.sort()).toEqual([...Object.keys(RUN_BY), ...Object.keys(NOT_RUN)].sort());
  const missing = Object.values(RUN_BY).filter(
    (path) => !existsSync(fileURLToPath(new URL(`../../${path}`, import.meta.url))),
  );
  expect(missing).toEqual([]);
});

import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { describeReal } from '../support/real-servers.js';
import { CiSystem } from './environments.js';
import { BIN, Company, readSample, ROOT, sampleFile, type Env } from './world.js';

const gitLab = parse(readSample('16-ci/.gitlab-ci.yml')).backfill;
const gitHub = parse(readSample('16-ci/github-workflow.yml'));
const gitHubLines: string[] = gitHub.jobs.backfill.steps.flatMap(({ run }: { run?: string }) => run ?? []);
const command = (lines: string[]) => lines.find((line) => line.includes('nestjs-vault exec')) ?? '';

describe('the files of the CI systems', () => {
  it('both run the same steps; the last one by the path of the bin, not by npx or npm', () => {
    expect(gitHubLines).toEqual(gitLab.script);
    expect(command(gitHubLines)).toMatch(
      /^\.\/node_modules\/\.bin\/nestjs-vault exec .* -- node backfill\.mjs$/,
    );
  });

  it('both may ask for an ID token of the audience of the role, and have no other secret', () => {
    const { bound_audiences: audiences } = JSON.parse(
      /<<JSON\n(.*)JSON/s.exec(readSample('16-ci/set-up.sh'))?.[1]?.replace('$CLAIMS', '{}') ?? '',
    );
    expect(gitLab.id_tokens).toEqual({ VAULT_ID_TOKEN: { aud: audiences[0] } });
    expect(readSample('15-local/src/vault.options.ts')).toContain(
      `fromGitHubActions({ audience: '${audiences[0]}' })`,
    );
    expect(gitHub.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
    for (const variables of [gitLab.variables, gitHub.jobs.backfill.env])
      expect(Object.keys(variables)).toEqual(['VAULT_ADDR', 'PGHOST', 'PGPORT', 'PGDATABASE']);
  });

  it('both limit the time of the job, within which the lease and the token end by themselves', () => {
    expect(gitLab.timeout).toBe('15m');
    expect(gitHub.jobs.backfill['timeout-minutes']).toBe(15);
  });
});

describeReal('a job of CI', () => {
  let company: Company;
  let ci: CiSystem;
  let folder: string;

  beforeAll(async () => {
    company = await Company.start();
    ci = await CiSystem.start(company);
    // The checked-out application, after `npm ci` and `npm run build`.
    folder = join(company.folder, 'checkout');
    mkdirSync(join(folder, 'node_modules', '.bin'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', 'pg'), join(folder, 'node_modules', 'pg'));
    symlinkSync(sampleFile('15-local/dist'), join(folder, 'dist'));
    copyFileSync(sampleFile('16-ci/backfill.mjs'), join(folder, 'backfill.mjs'));
    const bin = `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`;
    writeFileSync(join(folder, 'node_modules', '.bin', 'nestjs-vault'), bin, { mode: 0o755 });
  });
  afterAll(async () => {
    await company?.stop();
    await ci?.end();
  });

  /** Runs the last step; `work` replaces its command. */
  const step = (lines: string[], env: Env, work?: string) => {
    const line = command(lines).replace(/(?<= -- ).*$/, work === undefined ? '$&' : `node -e '${work}'`);
    return company.run('sh', ['-c', `exec ${line}`], env, folder);
  };
  const begin = `
    const { Client } = require("pg");
    const client = new Client();
    client.connect().then(() => client.query("insert into orders (item) values (\\$\\$half\\$\\$)")).then(() => {
      console.log("in the middle");`;
  const nothingIsLeft = async () => {
    await company.noUserIsLeft();
    const leases = await company.bao.api('LIST', 'sys/leases/lookup/database/creds/orders');
    expect(leases.status).toBe(404);
  };

  it.each([
    ['GitLab', gitLab.script as string[], () => ci.gitLab()],
    ['GitHub', gitHubLines, () => ci.gitHub()],
  ])('of %s works as its file has it, and leaves nothing', async (_name, lines, env) => {
    const { code, output } = await step(lines, env()).ended;
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('1 row') });
    await nothingIsLeft();
  });

  it('fails in the middle: its exit code stays, and nothing is left', async () => {
    const job = step(gitLab.script, ci.gitLab(), `${begin} process.exit(3); });`);
    const { code, output } = await job.ended;
    expect({ code, output }).toMatchObject({ code: 3, output: expect.stringContaining('in the middle') });
    await nothingIsLeft();
  });

  it('is cancelled in the middle: nothing is left', async () => {
    const job = step(gitLab.script, ci.gitLab(), `${begin} setInterval(() => {}, 1000); });`);
    await job.prints(/in the middle/);
    expect(await company.users()).toHaveLength(1);
    const { code } = await job.end();
    expect(code).toBe(143);
    await nothingIsLeft();
  });

  it('of another branch gets nothing', async () => {
    const { code, output } = await step(gitLab.script, ci.gitLab({ ref: 'refs/heads/mine' })).ended;
    expect(code).not.toBe(0);
    expect(output).toContain('VAULT_LOGIN_DENIED');
    expect(output).not.toContain('1 row');
    await nothingIsLeft();
  });
});

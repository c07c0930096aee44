import { writeFileSync } from 'node:fs';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { cellOf, notesOf, tableOf } from '../support/contract-table.js';
import { METHODS } from './contract/methods/index.js';
import { TITLES } from './contract/titles.js';

const HEAD = `# The contract of auth methods

Every auth method keeps the same rules, whatever its inputs. One suite (\`test/auth/contract\`) holds each method to them:
on the simulated server in both dialects with each \`npm test\`, and on a real server with \`npm run test:auth\`. This page
is the result of \`AUTH_TABLE=docs/internals/auth.md npm run test:auth\`. With \`VAULT_BIN\`, the last column is that server.

A cell counts the rules that hold, of those that apply. OpenBao has no plugins of AWS, Azure, GCP, GitHub, LDAP, Okta and
RADIUS; HashiCorp Vault has them. Without a column of it, this page was made without \`VAULT_BIN\`: the simulated server
gives the answers that were recorded from Vault 1.21.4. \`test/README.md\` says what was
run on Vault 1.14.0.

`;

const STARTS = `## Requests at the start

One login, then one request for each secret, the secrets in parallel. Requests of a login at the server:

`;

interface Run {
  readonly server: string;
  readonly method: string;
  readonly title: string;
  readonly test: TestCase;
}

/** Writes the tables of auth methods, servers and rules, if AUTH_TABLE names a file. */
export default class TableReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const output = process.env['AUTH_TABLE'];
    if (!output) return;
    const runs = modules.filter(({ moduleId }) => moduleId.includes('/test/auth/')).flatMap(runsOf);
    const servers = [...new Set(runs.map(({ server }) => server))];
    const methods = METHODS.map(({ name }) => name).sort((one, other) => one.localeCompare(other));
    const of = (server: string, method: string) =>
      runs.filter((run) => run.server === server && run.method === method);
    const summary = methods.map((method) => [
      `\`${method}\``,
      ...servers.map((server) => summaryOf(of(server, method))),
    ]);
    const notes: string[] = [];
    const rules = Object.values(TITLES).map((title) => [
      title,
      ...methods.map((method) => {
        const cells = servers.flatMap((server) => of(server, method)).filter((run) => run.title === title);
        const shown = cells.map(({ test }) => cellOf(test.result(), notes));
        return (
          shown.find((cell) => cell === 'failed') ?? shown.find((cell) => cell !== 'not run') ?? 'not run'
        );
      }),
    ]);
    const starts = modules
      .flatMap((module) => [...module.children.allTests()])
      .flatMap((test) => test.meta().startRequests ?? [])
      .map(({ method, requests }) => [`\`${method}\``, requests.map((one) => `\`${one}\``).join(', ')])
      .sort(([one = ''], [other = '']) => one.localeCompare(other));
    writeFileSync(
      output,
      `${HEAD}${tableOf(['Method', ...servers], summary)}\n\n## By rule, on all these servers\n\n` +
        `${tableOf(['Rule', ...methods.map((method) => `\`${method}\``)], rules)}${notesOf(notes)}\n\n${STARTS}` +
        `${tableOf(['Method', 'Requests of one login'], starts)}\n`,
    );
  }
}

function runsOf(module: TestModule): Run[] {
  const titles: readonly string[] = Object.values(TITLES);
  return [...module.children.allTests()].flatMap((test) => {
    const method = test.parent;
    if (method.type !== 'suite' || method.parent.type !== 'suite' || !titles.includes(test.name)) return [];
    const server = method.parent.name.replace(/^the contract of auth methods, on (a )?/, '');
    return [{ server, method: method.name, title: test.name, test }];
  });
}

/** How many rules hold, of those that apply. */
function summaryOf(runs: readonly Run[]): string {
  const states = runs.map(({ test }) => test.result());
  const applicable = states.filter(({ state }) => state !== 'skipped');
  if (applicable.length === 0) return '–';
  return `${applicable.filter(({ state }) => state === 'passed').length} of ${applicable.length}`;
}

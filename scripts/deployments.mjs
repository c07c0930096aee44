// npm run test:deployments: samples 15 to 18, which are one application in four environments: with `nestjs-vault dev`, in
// a job of CI, under systemd and in Kubernetes, as far as one machine can show that.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt, ensureInstalled, ensureSample } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

await ensureInstalled();
await ensureBuilt();
await ensureSample(join('sample', '15-local'));
await ensureOpenBao();
const root = fileURLToPath(new URL('..', import.meta.url));
const validator = ensureValidator();
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const { status } = spawnSync(process.execPath, [vitest, 'run', '--maxWorkers=2', ...process.argv.slice(2)], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: { ...process.env, VAULT_TEST_DEPLOYMENTS: '1', ...(validator && { KUBERNETES_VALIDATE: validator }) },
});
process.exitCode = status ?? 1;

/** The schemas of the API of Kubernetes, from PyPI; undefined without Python or network. */
function ensureValidator() {
  const folder = join(root, '.cache', 'kubernetes-validate-1.37.0');
  const bin = join(folder, 'bin', 'kubernetes-validate');
  if (existsSync(bin)) return bin;
  const run = (command, ...args) =>
    spawnSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] }).status === 0;
  const made =
    run('python3', '-m', 'venv', folder) &&
    run(
      join(folder, 'bin', 'pip'),
      'install',
      '--quiet',
      '--disable-pip-version-check',
      'kubernetes-validate==1.37.0',
    );
  if (made) return bin;
  console.log(
    'kubernetes-validate cannot be installed from PyPI: the manifests are not compared with the schemas.',
  );
  return undefined;
}

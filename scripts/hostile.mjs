// npm run test:hostile: hostile answers for all readers of answers, and random answers, options and names (fast-check).
// Prints the number of inputs of each kind, and the seed. See --help.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureInstalled } from './ensure-installed.mjs';

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '20261129' },
    'every-answer': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`npm run test:hostile -- [--inputs 100000] [--seed 20261129 | random] [--every-answer]
The same seed tries the same inputs. A failure prints the input and its path for fast-check.
Without --every-answer, calls of KV and starts of applications get a third of the table of answers.`);
} else {
  await ensureInstalled();
  const root = fileURLToPath(new URL('..', import.meta.url));
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const { status } = spawnSync(
    process.execPath,
    [vitest, 'run', 'test/hostile', '--retry=0', '--disable-console-intercept=true'],
    {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        HOSTILE_INPUTS: values.inputs,
        HOSTILE_SEED: values.seed,
        HOSTILE_EVERY_ANSWER: String(values['every-answer']),
      },
    },
  );
  process.exitCode = status ?? 1;
}

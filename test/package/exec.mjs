// Some of the ways in which `nestjs-vault exec` ends, on the built bin; npm run test:exec tries all.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { simulated } from '../exec/simulated.mjs';
import { runWay, WAYS } from '../exec/ways.mjs';

const SOME = [
  'the command fails',
  'no argument of a process has a secret',
  'SIGTERM',
  'a command that does not exist',
];
const bin = fileURLToPath(new URL('../../dist/esm/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-exec-'));
const world = await simulated();
try {
  const ways = WAYS.filter(({ name }) => SOME.includes(name));
  assert.equal(ways.length, SOME.length);
  const ran = await Promise.all(ways.map((way) => runWay(way, world, { bin, folder })));
  for (const { problems, output } of ran) assert.deepEqual(problems, [], output);
} finally {
  await world.close();
  rmSync(folder, { recursive: true, force: true });
}

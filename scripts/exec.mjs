// npm run test:exec [-- --short]: the ways in which `nestjs-vault exec` ends, on the packed bin: on the simulated server,
// and on a real OpenBao and PostgreSQL. Prints for each the exit code and the milliseconds; at the end no lease, token or
// user may be left. --short: without the ways that take long on the real server.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { simulated } from '../test/exec/simulated.mjs';
import { real } from '../test/exec/real.mjs';
import { runWay, WAYS } from '../test/exec/ways.mjs';
import { ensureBuilt, ensureInstalled } from './ensure-installed.mjs';

const AT_A_TIME = 4;
const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'dist/esm/cli/main.js');
const short = process.argv.includes('--short');

await ensureInstalled();
await ensureBuilt();
const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-exec-'));
let failed = 0;
let ran = 0;
try {
  for (const start of [simulated, real]) {
    const world = await start();
    console.log(`\n── ${world.name}: exit code or signal, milliseconds`);
    const waiting = WAYS.filter((way) => start === simulated || !(way.simulated || (way.slow && short)));
    const work = async () => {
      for (let way = waiting.shift(); way; way = waiting.shift()) await check(way, world);
    };
    try {
      await Promise.all(Array.from({ length: AT_A_TIME }, work));
      const left = await world.atTheEnd();
      if (left) {
        failed++;
        console.log(`FAIL  ${left}`);
      }
    } finally {
      await world.close();
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`exec: ${ran - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;

async function check(way, world) {
  const { problems, took, output } = await runWay(way, world, { bin, folder: join(folder, world.name) });
  ran++;
  const ok = problems.length === 0;
  if (!ok) failed++;
  console.log(
    `${ok ? '  ok' : 'FAIL'}  ${way.name}: ${way.code ?? way.signal}, ${took} ms ${problems.join('; ')}`,
  );
  if (!ok) console.log(output);
}

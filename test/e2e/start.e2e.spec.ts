import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** `npm start` on a machine without a server binary. */
async function start(args: readonly string[], extra: Record<string, string> = {}) {
  const env: NodeJS.ProcessEnv = { ...process.env, BAO_BIN: '/nonexistent', ...extra };
  for (const name of ['VAULT_ADDR', 'VAULT_BIN', ...('CI' in extra ? [] : ['CI'])]) delete env[name];
  const child = spawn(process.execPath, ['scripts/start.mjs', ...args], { cwd: root, env });
  // It ends its child processes first.
  onTestFinished(() => void (child.exitCode === null && child.kill('SIGTERM')));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => (output += String(piece)));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

const answers = (host: string, port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = net.connect(port, host, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

// 10 s, and the build of library and sample if that is older than the sources.
it('npm start prints that it uses a simulated server, runs as on a real one, and leaves nothing behind', async () => {
  const { code, output } = await start(['--for', '5', '--port', '0']);
  expect(output).toMatch(
    /^Using a simulated server instead of OpenBao: BAO_BIN is set to \/nonexistent, but/m,
  );
  expect(output).toMatch(/^ +\S+s +issued +database\/creds\/orders #1 /m);
  expect(output).toMatch(/^ +queries +[1-9]\d* good, 0 failed; p99 /m);
  expect(output).toMatch(/^ +last user +v-\S+ \(removed\)\n +users left +0 of 1 in PostgreSQL$/m);
  expect(code).toBe(0);

  // The simulated server, the database and the sample.
  const places = [...output.matchAll(/^(?:Simulated|PostgreSQL|Listening at) .*?([\d.]+):(\d+)/gm)];
  expect(places).toHaveLength(3);
  const open = places.map(([, host = '', port]) => answers(host, Number(port)));
  expect(await Promise.all(open)).toEqual([false, false, false]);
}, 240_000);

it('under CI it fails, as CI requires a real server', async () => {
  const { code, output } = await start(['--for', '5'], { CI: 'true' });
  expect(output.trim()).toBe(
    'BAO_BIN is set to /nonexistent, but there is no such file. Or set VAULT_ADDR to your own server.',
  );
  expect(code).toBe(1);
});

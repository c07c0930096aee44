// A provider of the options waits for the connection that needs these options: the process ends with an error that
// names the cycle, at once if nothing else keeps it alive.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(join(process.cwd(), 'package.json'));

async function application() {
  require('reflect-metadata');
  const { NestFactory } = require('@nestjs/core');
  const { KvService, VaultModule } = require('nestjs-vault');
  const vault = VaultModule.forRootAsync({
    inject: ['SETTINGS'],
    useFactory: (settings) => settings,
    extraProviders: [
      {
        provide: 'SETTINGS',
        inject: [KvService],
        useFactory: async (kv) => (await kv.read('settings')).data.reveal(),
      },
    ],
  });
  await NestFactory.createApplicationContext(
    { module: class App {}, imports: [vault] },
    { abortOnError: false },
  );
}

if (process.argv[2] === 'application') await application();
else {
  const began = performance.now();
  const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), 'application'], {
    encoding: 'utf8',
  });
  const took = performance.now() - began;
  assert.match(child.stderr, /VAULT_STARTUP_FAILED/);
  assert.match(child.stderr, /Look for a cycle/);
  assert.equal(child.status, 1);
  assert.ok(took < 9_000, `it took ${took} ms`);
}

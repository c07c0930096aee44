// Run as `node loaded.mjs <esm|cjs> <after|before>`: which modules an import of the package and a start load, and that an
// application which uses axios, node-vault or undici, after or before, has the whole ones. The package is resolved from
// the working directory.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { startStub } from './stub.mjs';

const require = createRequire(join(process.cwd(), 'package.json'));
const [format, order] = process.argv.slice(2);
const root = dirname(require.resolve('nestjs-vault/package.json'));
/** `require.resolve` finds the CommonJS copy of this package. */
const resolve = (name) =>
  name === 'nestjs-vault' ? join(root, 'dist', 'esm', 'index.js') : require.resolve(name);
const load = (name) =>
  format === 'esm' ? import(pathToFileURL(resolve(name)).href) : Promise.resolve(require(name));

/** Packages with files of CommonJS that were loaded since; Nest loads some of its own late. */
function loadedSince(before) {
  const files = Object.keys(require.cache).filter((file) => !before.has(file));
  return [...new Set(files.map(packageOf))]
    .filter((name) => !name.startsWith('@nestjs/'))
    .toSorted((a, b) => a.localeCompare(b));
}

function packageOf(file) {
  if (file.startsWith(join(root, 'dist'))) return 'nestjs-vault';
  return /.*node_modules[/\\]((?:@[^/\\]+[/\\])?[^/\\]+)/.exec(file)?.[1] ?? file;
}

async function useAll({ address }) {
  const axios = require('axios');
  assert.equal((await axios.post(`${address}/v1/auth/approle/login`)).data.auth.lease_duration, 60);
  const client = require('node-vault')({ endpoint: address });
  assert.equal((await client.approleLogin({ role_id: 'r', secret_id: 's' })).auth.lease_duration, 60);
  assert.equal((await client.read('secret/data/app')).data.data.apiKey, 'key');
  assert.ok(Object.keys(client.commands).length > 40);
  const undici = require('undici');
  assert.equal((await undici.fetch(`${address}/v1/secret/data/app`)).status, 200);
  const agent = new undici.Agent();
  assert.equal(
    (await undici.request(`${address}/v1/secret/data/app`, { dispatcher: agent })).statusCode,
    200,
  );
  await agent.close();
  return { axios, nodeVault: require('node-vault'), undici };
}

const stub = await startStub();
for (const name of ['reflect-metadata', '@nestjs/common', '@nestjs/core', 'rxjs']) await load(name);
const earlier = order === 'before' ? await useAll(stub) : undefined;
const before = new Set(Object.keys(require.cache));
const modulesBefore = Object.fromEntries([...before].map((file) => [file, require.cache[file]]));

const { VaultModule, appRole, getCredentialsToken, getSecretToken } = await load('nestjs-vault');
// In ES modules our own files are no CommonJS.
const expected = format === 'cjs' ? ['nestjs-vault'] : [];
assert.deepEqual(loadedSince(before), expected);
if (format === 'cjs') {
  const ours = Object.keys(require.cache).filter((file) => file.startsWith(join(root, 'dist')));
  assert.ok(ours.length > 0 && ours.length <= 6);
  // A string of another character takes twice the memory, and the file more time.
  for (const file of ours) assert.match(readFileSync(file, 'utf8'), /^"use strict";[\0-\x7F]*$/, file);
  assert.equal(require('nestjs-vault').__esModule, true);
}

const { Module } = await load('@nestjs/common');
const { NestFactory } = await load('@nestjs/core');
class AppModule {}
Module({
  imports: [VaultModule.forRoot({ address: stub.address, auth: appRole({ roleId: 'r', secretId: 's' }) })],
  providers: [
    { provide: 'key', inject: [getSecretToken('app', { key: 'apiKey' })], useFactory: (key) => key.reveal() },
    { provide: 'user', inject: [getCredentialsToken('orders')], useFactory: (user$) => user$ },
  ],
})(AppModule);
const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
assert.equal(app.get('key'), 'key');
for (const unused of ['http2', 'https'])
  assert.equal(process.moduleLoadList.includes(`NativeModule ${unused}`), earlier !== undefined, unused);
await new Promise((next, error) => app.get('user').subscribe({ next, error }));
assert.deepEqual(loadedSince(before), expected);
await app.close();
assert.deepEqual(loadedSince(before), expected);
for (const [file, module] of Object.entries(modulesBefore)) assert.equal(require.cache[file], module);

assert.equal((await fetch(`${stub.address}/v1/secret/data/app`)).status, 200);
const later = await useAll(stub);
if (earlier)
  assert.deepEqual(
    Object.values(later).map((one, index) => one === Object.values(earlier)[index]),
    [true, true, true],
  );
stub.server.close();
console.log(`ok ${format}, ${order}`);
process.exit(0);

import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkDriver } from '../../../lib/integrations/driver/check-driver.js';
import { FLOORS, floorFor, type DriverName } from '../../../lib/integrations/driver/floors.js';
import { VaultError } from '../../../lib/errors/vault-error.js';

let folder: string;
beforeEach(() => (folder = realpathSync(mkdtempSync(join(tmpdir(), 'nestjs-vault-driver-')))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a file below the folder of this test. */
function put(path: string, content: object | string): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

/** The layout of redis and others: `exports` without the package.json. */
function putRedis(version: string, root = 'node_modules/redis'): string {
  put(`${root}/package.json`, { name: 'redis', version, exports: { '.': './dist/cjs/index.js' } });
  put(`${root}/dist/cjs/package.json`, { type: 'commonjs' });
  return put(`${root}/dist/cjs/index.js`, 'module.exports = {};');
}

/** The installed package. */
function putOurs(root = 'node_modules/nestjs-vault'): string {
  put(`${root}/package.json`, { name: 'nestjs-vault', version: '1.0.0' });
  return put(`${root}/dist/cjs/here.cjs`, '');
}

/** The error for redis if this package is in that file. */
function refusal(from: string, imported = true): VaultError | undefined {
  try {
    checkDriver('redis', { from, imported });
    return undefined;
  } catch (error) {
    return error as VaultError;
  }
}

it('an old driver is refused; the error has both versions, the folder and the command that helps', () => {
  putRedis('5.8.0');
  const error = refusal(putOurs());
  expect(error).toBeInstanceOf(VaultError);
  expect(error?.code).toBe('VAULT_DRIVER_TOO_OLD');
  expect(error?.message).toContain('redis 5.8.0 is too old');
  expect(error?.message).toContain('6.2.1 or later is required');
  expect(error?.hint).toContain('npm install redis@^6.2.1');
  expect(error?.hint).toContain(join(folder, 'node_modules', 'redis'));
});

it('the copy that this package resolves is checked, in the layout of any package manager', () => {
  // The layout of pnpm: links to a folder of dependencies for each package.
  const store = 'node_modules/.pnpm/nestjs-vault@1.0.0_redis@5.8.0/node_modules';
  const ours = putOurs(`${store}/nestjs-vault`);
  putRedis('5.8.0', 'node_modules/.pnpm/redis@5.8.0/node_modules/redis');
  symlinkSync(
    join(folder, 'node_modules/.pnpm/redis@5.8.0/node_modules/redis'),
    join(folder, store, 'redis'),
  );
  putRedis('6.3.1');
  expect(refusal(ours)?.hint).toContain(join('.pnpm', 'redis@5.8.0'));
});

it.each(['6.2.1', '6.2.1-rc.1', '6.3.0', '10.0.0'])('redis %s is used', (version) => {
  putRedis(version);
  expect(refusal(putOurs())).toBeUndefined();
});

describe('a driver of unknown version is not refused', () => {
  it('the driver is not installed', () => {
    expect(refusal(putOurs())).toBeUndefined();
  });

  it('its package.json has another name, as for an alias, or no version', () => {
    putRedis('5.8.0');
    put('node_modules/redis/package.json', { name: 'another', version: '1.0.0' });
    expect(refusal(putOurs())).toBeUndefined();
    put('node_modules/redis/package.json', '{');
    expect(refusal(putOurs())).toBeUndefined();
  });

  it('a bundle may hold another copy than the one beside it', () => {
    const redis = putRedis('5.8.0');
    put('package.json', { name: 'application', version: '1.0.0' });
    const bundle = put('dist/main.js', '');
    expect(refusal(bundle)).toBeUndefined();
    // The bundle has loaded that copy.
    createRequire(bundle)(redis);
    expect(refusal(bundle)?.code).toBe('VAULT_DRIVER_TOO_OLD');
  });

  it('the application may have another copy of a driver that it loads itself', () => {
    const redis = putRedis('5.8.0');
    const ours = putOurs();
    expect(refusal(ours, false)).toBeUndefined();
    createRequire(ours)(redis);
    expect(refusal(ours, false)?.code).toBe('VAULT_DRIVER_TOO_OLD');
  });
});

it('each major version has its own minimum', () => {
  const verdict = (name: DriverName, version: string) => {
    const { floor, reached } = floorFor(name, version);
    return `${version} ${reached ? '≥' : '<'} ${floor}`;
  };
  expect(
    ['6.6.15', '6.6.16', '7.0.16', '7.1.0', '8.0.0'].map((one) => verdict('@mikro-orm/postgresql', one)),
  ).toEqual(['6.6.15 < 6.6.16', '6.6.16 ≥ 6.6.16', '7.0.16 < 7.1.0', '7.1.0 ≥ 7.1.0', '8.0.0 ≥ 7.1.0']);
  expect(['4.28.5', '5.8.9', '5.9.0', '5.10.0', '6.0.0'].map((one) => verdict('ioredis', one))).toEqual([
    '4.28.5 < 5.9.0',
    '5.8.9 < 5.9.0',
    '5.9.0 ≥ 5.9.0',
    '5.10.0 ≥ 5.9.0',
    '6.0.0 ≥ 5.9.0',
  ]);
});

it('the drivers of this repository are accepted', () => {
  for (const name of Object.keys(FLOORS) as DriverName[]) expect(() => checkDriver(name)).not.toThrow();
});

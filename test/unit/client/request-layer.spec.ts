import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import createNodeVault from 'node-vault';
import { expect, it } from 'vitest';
import { fromSource, layerOf, TESTED } from '../../../lib/client/request-layer.js';
import { ownFile } from '../../../lib/errors/own-file.js';
import { read } from '../../support/pages.mjs';

const require = createRequire(import.meta.url);

it('node-vault and undici are exactly the versions that were tested', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  for (const name of ['node-vault', 'undici']) {
    const { version } = require(`${name}/package.json`) as { version: string };
    expect(dependencies[name]).toBe(version);
  }
  const source = readFileSync(require.resolve('node-vault'));
  expect(TESTED).toBe(createHash('sha256').update(source).digest('hex'));
});

it('the private copy of node-vault gives the hook what the imported one gives it', async () => {
  const own = fromSource(ownFile);
  if (!own) throw new Error('there is no private copy');
  const requests = [
    { method: 'GET', path: '/secret/data/app?version=2', headers: { 'X-Vault-Token': 't' }, timeout: 5 },
    { method: 'POST', path: '/auth/approle/login', headers: {}, json: '{"role_id":"r"}', repeatable: true },
    { method: 'PATCH', path: '/secret/data/a&#x2F;b', headers: {}, json: '{}', lane: 'vital' },
  ];
  for (const request of requests) {
    const [given, expected] = await Promise.all(
      [own, createNodeVault as unknown as typeof own].map((nodeVault) => {
        const layer = layerOf(nodeVault, (options: object) => Promise.resolve(options));
        return layer.request(structuredClone(request));
      }),
    );
    expect(given).toEqual(expected);
    expect(given).toMatchObject({ method: request.method, uri: expect.stringContaining('/v1/') as string });
  }
});

it('there is no private copy without a file of this package on disk, or without node-vault beside it', () => {
  expect(fromSource(undefined)).toBeUndefined();
  expect(fromSource('/nowhere/index.js')).toBeUndefined();
});
